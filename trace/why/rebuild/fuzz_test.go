package rebuild

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"packetwalk/lab"
)

// fits fails where a text is refused otherwise than with a place in it.
func fits(t *testing.T, err error) {
	t.Helper()
	var file *FileError
	var request *RequestError
	if err != nil && !errors.As(err, &file) && !errors.As(err, &request) {
		t.Fatalf("an error of another kind: %T %v", err, err)
	}
}

// FuzzAddresses holds that whatever is sent as a listing of addresses, it is
// refused with a line, or makes interfaces that can be made.
func FuzzAddresses(f *testing.F) {
	seed(f, "testdata/listing/*.addr")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readAddresses(File{"addr.txt", text})
		fits(t, err)
		for _, l := range all {
			if !isInterface(l.Name) {
				t.Fatalf("an interface %q", l.Name)
			}
		}
	})
}

// FuzzRoutes holds that no word of a listing of routes comes into a command that
// is not one that ip knows, and none that means something to a shell.
func FuzzRoutes(f *testing.F) {
	seed(f, "testdata/listing/*.route", "testdata/listing/*.rule")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readRoutes(File{"route.txt", text})
		fits(t, err)
		b := builder{machine: &machine{}}
		for _, r := range all.routes {
			harmless(t, b.routeCommand(r))
		}
		for _, c := range all.choices {
			harmless(t, c.command())
		}
	})
}

func harmless(t *testing.T, command string) {
	t.Helper()
	if i := strings.IndexFunc(command, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" ./:-_@+,=[]", r))
	}); i >= 0 {
		t.Fatalf("%q has %q in it", command, command[i:])
	}
}

// FuzzRuleset holds that whatever is sent as a ruleset, it is refused with a line
// or makes a lab that can be built.
func FuzzRuleset(f *testing.F) {
	seed(f, filepath.Join(recorded, "*.rules"), "testdata/*.nft")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := New(Mail{Ruleset: File{"rules.txt", text}}, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
		fits(t, err)
		if err != nil {
			return
		}
		n, _ := p.Topology.Node(p.Host)
		if n.Ruleset == (lab.Ruleset{}) {
			t.Fatal("the ruleset is gone")
		}
	})
}

// FuzzMail holds that whatever is sent of a host, the lab that is made of it is a
// valid one: New would answer with an error of another kind.
func FuzzMail(f *testing.F) {
	rules := load(f, filepath.Join(recorded, "docker-20.10-publish-80.rules"))
	for _, addresses := range []string{"", "full.addr", "odd.addr", "article.addr", "json.addr"} {
		for _, routes := range []string{"", "all.route", "odd.route", "article.route", "json.route"} {
			var a, r string
			if addresses != "" {
				a = listed(f, addresses).Text
			}
			if routes != "" {
				r = listed(f, routes).Text
			}
			f.Add(rules.Text, a, r, "203.0.113.5", "192.168.23.149:80")
			f.Add(rules.Text, a, r, "172.17.0.9", "172.17.0.2:80")
		}
	}
	f.Fuzz(func(t *testing.T, rules, addresses, routes, from, to string) {
		m := Mail{Ruleset: File{"rules.txt", rules}}
		if addresses != "" {
			m.Addresses = File{"addr.txt", addresses}
		}
		if routes != "" {
			m.Routes = File{"route.txt", routes}
		}
		p, err := New(m, ask(from, "tcp", to))
		fits(t, err)
		for _, c := range p.Commands {
			harmless(t, c.Line)
		}
	})
}

// seed adds files to what fuzzing begins with.
func seed(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		for _, name := range files {
			f.Add(load(f, name).Text)
		}
	}
}
