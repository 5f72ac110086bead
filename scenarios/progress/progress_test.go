package progress

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStep(t *testing.T) {
	f := At(filepath.Join(t.TempDir(), "new", "progress.json"))
	if got, err := f.Read(); err != nil || len(got) != 0 {
		t.Fatalf("Read without a file = %v, %v", got, err)
	}
	for _, s := range []struct {
		step        string
		alone, last bool
	}{{"first", false, false}, {"second", true, false}, {"second", false, false}, {"third", false, true}, {"first", false, false}} {
		if err := f.Step("veth", s.step, s.alone, s.last); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	e := got["veth"]
	if strings.Join(e.Steps, " ") != "first second third" || strings.Join(e.Alone, " ") != "second" || !e.Done || e.Updated.IsZero() {
		t.Errorf("the entry is %+v", e)
	}
	left, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

// TestFaultyFile sees that a file that cannot be understood is named and kept.
func TestFaultyFile(t *testing.T) {
	for name, text := range map[string]string{"syntax": "{", "version": `{"version": 99}`} {
		t.Run(name, func(t *testing.T) {
			f := At(filepath.Join(t.TempDir(), "progress.json"))
			if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := f.Step("veth", "first", false, false); err == nil || !strings.Contains(err.Error(), f.path) {
				t.Errorf("Step = %v", err)
			}
			if data, err := os.ReadFile(f.path); err != nil || string(data) != text {
				t.Errorf("the file is now %q, %v", data, err)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	t.Setenv("XDG_STATE_HOME", "")
	for state, want := range map[string]string{
		"":       "/home/ann/.local/state/packetwalk/progress.json",
		"/state": "/state/packetwalk/progress.json",
		"rel":    "/home/ann/.local/state/packetwalk/progress.json",
	} {
		t.Setenv("XDG_STATE_HOME", state)
		if f, err := Default(); err != nil || f.path != want {
			t.Errorf("with XDG_STATE_HOME=%q: %s, %v", state, f.path, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version":1,"scenarios":{"veth":{"steps":["a"],"done":true}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := At(filepath.Join(t.TempDir(), "progress.json"))
		if err := os.WriteFile(file.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Read(); err != nil {
			return
		}
		if err := file.Step("veth", "b", false, true); err != nil {
			t.Fatal(err)
		}
		got, err := file.Read()
		if err != nil || !got["veth"].Done {
			t.Fatalf("after a step: %v, %v", got, err)
		}
	})
}
