package scenarios_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/scenarios"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// TestDockerRules holds the rules that labs begin with, which their scenarios
// list, to those of a real Docker 20.10: after its start, when it publishes port
// 80, and with a second bridge.
func TestDockerRules(t *testing.T) {
	for name, file := range map[string]string{
		"docker-default": "new-daemon.rules", "publish-by-hand": "new-daemon.rules", "publish-port": "publish-80.rules",
		"isolation": "two-bridges.rules",
	} {
		for _, variant := range []string{"nft", "legacy"} {
			t.Run(name+"/"+variant, func(t *testing.T) {
				l := build(t, name, variant)
				want, err := os.ReadFile("testdata/" + file)
				if err != nil {
					t.Fatal(err)
				}
				got := saved(t, l.Node("host"), variant)
				if diff := cmp.Diff(tables(string(want)), tables(got)); diff != "" {
					t.Errorf("the host's rules differ from Docker's (-Docker +host):\n%s", diff)
				}
			})
		}
	}
}

// TestPublishPort sees a published port answer.
func TestPublishPort(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			l := build(t, "publish-port", variant)
			if err := l.Check(t.Context()); err != nil {
				t.Error(err)
			}
			r, err := l.Send(t.Context(), "request")
			if err != nil || r.Status != 200 {
				t.Errorf("Send = %d, %v", r.Status, err)
			}
		})
	}
}

// build builds the lab of a scenario of the catalogue.
func build(t *testing.T, name, variant string) *lab.Lab {
	t.Helper()
	labtest.NeedIptables(t, variant)
	s, err := scenarios.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return labtest.Build(t, s.Topology, variant)
}

// saved is what iptables-save prints in a node. Table by table: an ordinary
// user may not read /proc/net/ip_tables_names, where iptables-legacy-save looks
// for the names.
func saved(t *testing.T, n *lab.Namespace, variant string) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"nat", "filter"} {
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
