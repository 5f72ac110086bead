package nflog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

func TestSideEffectFree(t *testing.T) {
	for match, want := range map[string]struct {
		repeatable bool
		free       string
	}{
		"":                                 {true, ""},
		"! -i lo -p tcp -m tcp --dport 80": {true, "! -i lo -p tcp -m tcp --dport 80"},
		"-p udp -m limit --limit 5/sec -m ttl --ttl-gt 3":                        {false, "-p udp -m ttl --ttl-gt 3"},
		"-m comment --comment -m -m statistic --mode nth --every 2":              {false, "-m comment --comment -m"},
		"-m string --string -m --algo bm":                                        {true, "-m string --string -m --algo bm"},
		"-p tcp -m recent --set --name x":                                        {true, "-p tcp"},
		"-p tcp -m recent ! --set --name x":                                      {false, "-p tcp"},
		"-m recent --rcheck --name x":                                            {true, "-m recent --rcheck --name x"},
		"-m recent --rcheck --seconds 9 --reap":                                  {false, ""},
		"-m recent --update --name x":                                            {false, ""},
		"-p tcp -m recent --set --name x -m recent --rcheck --name x":            {false, "-p tcp"},
		"-m recent --rcheck --name x -m recent --set --name x":                   {true, "-m recent --rcheck --name x"},
		"-m recent --rcheck --name x -m recent --rcheck --name y":                {true, "-m recent --rcheck --name x -m recent --rcheck --name y"},
		"-p tcp -m mark --mark 0x1 -m socket --restore-skmark":                   {false, "-p tcp -m mark --mark 0x1"},
		"-p tcp -m socket --restore-skmark -m mark --mark 0x1 -m ttl --ttl-gt 3": {false, "-p tcp -m ttl --ttl-gt 3"},
		"-p tcp -m socket --transparent":                                         {true, "-p tcp -m socket --transparent"},
		"-p tcp -m socket --restore-skmark":                                      {false, "-p tcp"},
		"-m bpf --object-pinned /sys/fs/bpf/x":                                   {false, ""},
		"-p tcp -m future --past":                                                {false, "-p tcp"},
		"-p tcp -m":                                                              {false, "-p tcp"},
	} {
		words, err := ruleset.Words(match)
		if err != nil {
			t.Fatal(err)
		}
		r := ruleset.Rule{Match: words}
		parts := parts(r)
		if got := strings.Join(sideEffectFree(parts), " "); got != want.free || repeatable(parts) != want.repeatable {
			t.Errorf("%q: repeatable %t, %q; want %t, %q", match, repeatable(parts), got, want.repeatable, want.free)
		}
	}
}

// A rule whose matches must not run twice gets probes that ask for the rest of
// them, and one behind it only where that can tell something.
func TestProbesAroundStatefulRules(t *testing.T) {
	for rule, want := range map[string][]string{
		"-p tcp -m limit --limit 1/sec -j DROP":                     {"reach -p tcp", "passed -p tcp"},
		"-p tcp -m limit --limit 1/sec -j FUTURE":                   {"reach -p tcp", "passed -p tcp"},
		"-p tcp -m limit --limit 1/sec -j MARK --set-xmark 0x1/0x1": {"reach -p tcp", "passed -p tcp"},
		"-p tcp -m limit --limit 1/sec -j LOG":                      {"reach -p tcp"},
		"-p tcp -m limit --limit 1/sec":                             {"reach -p tcp"},
		"-p tcp -m recent --set --name x":                           {"match -p tcp"},
		"-p tcp -m tcp --dport 80 -m recent --set --name x -j USER": {"match -p tcp -m tcp --dport 80"},
	} {
		rules := parse(t, "*filter\n:INPUT ACCEPT [0:0]\n:USER - [0:0]\n-A INPUT "+rule+"\nCOMMIT\n")
		plan := NewPlan(Subject{Rules: rules, Tables: []trace.Table{trace.Filter}, Run: "run", Group: 5})
		var got []string
		for _, line := range strings.Split(plan.Script(), "\n") {
			words, _ := ruleset.Words(line)
			r := ruleset.Rule{Match: words}
			for i, w := range words {
				if w == "-j" {
					r.Match, r.Target, r.Options = words[:i], words[i+1], words[i+2:]
				}
			}
			prefix, ok := probePrefix(r)
			if probe := plan.Probes[prefix.Probe]; ok && probe.Rule == 1 {
				_, match, _ := strings.Cut(strings.Join(r.Match, " "), "-p")
				got = append(got, probe.Kind.String()+" -p"+match)
			}
		}
		if diff := cmp.Diff(want, got, cmp.Transformer("set", sorted)); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", rule, diff, plan.Script())
		}
	}
}

func sorted(words []string) map[string]bool {
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	return set
}
