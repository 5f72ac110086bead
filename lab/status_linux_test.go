package lab

import "testing"

func TestParseStatus(t *testing.T) {
	const sleeping = "Name:\tNSpid:\nState:\tS (sleeping)\nPid:\t900\nPPid:\t1\nNStgid:\t900\t7\nNSpid:\t900\t7\nNSpgid:\t900\t7\nNSsid:\t880\t5\n"
	for _, test := range []struct {
		text string
		want process
		ok   bool
	}{
		{sleeping, process{pid: 7, parent: 1, session: 5}, true},
		{"State:\tZ (zombie)\nPPid:\t1\nNSpid:\t7\nNSsid:\t0\n", process{pid: 7, parent: 1, zombie: true}, true},
		{"State:\tS (sleeping)\n", process{}, false},
		{"NSpid:\tx\n", process{}, false},
		{"", process{}, false},
	} {
		if got, ok := parseStatus(test.text); ok != test.ok || ok && got != test.want {
			t.Errorf("%q: %+v, %v; want %+v, %v", test.text, got, ok, test.want, test.ok)
		}
	}
}

func TestParsePidfd(t *testing.T) {
	for text, want := range map[string]int{
		"pos:\t0\nflags:\t02000002\nPid:\t31\nNSpid:\t31\t4\n": 4,
		"pos:\t0\nPid:\t31\nNSpid:\t31\n":                      31,
		"Pid:\t-1\nNSpid:\t-1\n":                               0, // waited for
		"pos:\t0\n":                                            0,
		"NSpid:\n":                                             0,
	} {
		if got, ok := parsePidfd(text); ok != (want > 0) || ok && got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, ok, want)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("State:\tZ (zombie)\nPPid:\t1\nNSpid:\t7\nNSsid:\t0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := parseStatus(text); ok && p.pid <= 0 {
			t.Errorf("%q is process %d", text, p.pid)
		}
	})
}
