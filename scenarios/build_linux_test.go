package scenarios_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/scenarios"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// TestDockerRules holds the rules of the hosts that are shown as Docker's to
// those of a real Docker, and sees the labs work.
func TestDockerRules(t *testing.T) {
	for _, test := range []struct{ scenario, rules, client string }{
		{"docker-default", "new-daemon", "out"},
		{"publish-by-hand", "new-daemon", ""}, // nothing is published yet
		{"publish-port", "publish-80", "request"},
		{"isolation", "two-bridges", "out"},
		{"docker-today", "publish-8080", "published"},
	} {
		for _, variant := range []string{"nft", "legacy"} {
			t.Run(test.scenario+"/"+variant, func(t *testing.T) {
				labtest.NeedIptables(t, variant)
				s, err := scenarios.Load(test.scenario)
				if err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile("testdata/" + test.rules + ".rules")
				if err != nil {
					t.Fatal(err)
				}
				l := labtest.Build(t, s.Topology, variant)
				want := tables(string(text))
				got := tables(saved(t, l.Node("host"), variant, slices.Sorted(maps.Keys(want))))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the host's rules differ from Docker's (-Docker +host):\n%s", diff)
				}
				if err := l.Check(t.Context()); err != nil {
					t.Error(err)
				}
				if test.client == "" {
					return
				}
				r, err := l.Send(t.Context(), test.client)
				if err != nil || r.Status != 200 {
					t.Errorf("Send = %d, %v", r.Status, err)
				}
			})
		}
	}
}

// saved is what iptables-save prints of a node's tables. One by one: an ordinary
// user may not read /proc/net/ip_tables_names, where iptables-legacy-save looks
// for the names.
func saved(t *testing.T, n *lab.Namespace, variant string, tables []string) string {
	t.Helper()
	var all strings.Builder
	for _, table := range tables {
		err := n.Do(func() error {
			out, err := exec.Command(lab.Command(variant).Save, "-t", table).Output()
			all.Write(out)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

var counters = regexp.MustCompile(`\[\d+:\d+\]`)

// tables cuts the text of iptables-save into its tables, without comments and
// with the counters at zero. The order of the tables is nobody's promise.
func tables(text string) map[string][]string {
	all := map[string][]string{}
	var table string
	for line := range strings.Lines(text) {
		line = counters.ReplaceAllString(strings.TrimSpace(line), "[0:0]")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '*':
			table = line[1:]
		default:
			all[table] = append(all[table], line)
		}
	}
	return all
}
