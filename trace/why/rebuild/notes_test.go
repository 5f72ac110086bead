package rebuild

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWords holds that every kind of note has words in both languages, with the
// values that its comment names.
func TestWords(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "notes.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	braces := regexp.MustCompile(`\{(\w+)\}`)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "NoteKind" {
			return true
		}
		kinds++
		kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		w, ok := words[NoteKind(kind)]
		if !ok {
			t.Errorf("%s has no words", kind)
			return true
		}
		named := strings.ReplaceAll(spec.Doc.Text(), "\n", " ")
		named = strings.TrimSuffix(strings.TrimSpace(named[strings.LastIndex(named, ":")+1:]), ".")
		want := strings.Split(named, ", ")
		slices.Sort(want)
		for _, text := range []string{w.En, w.Zh} {
			var have []string
			for _, m := range braces.FindAllStringSubmatch(text, -1) {
				have = append(have, m[1])
			}
			slices.Sort(have)
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("%s: %q (-comment +text):\n%s", kind, text, diff)
			}
		}
		return true
	})
	if kinds != len(words) || kinds == 0 {
		t.Errorf("%d kinds, and words for %d", kinds, len(words))
	}
}

// TestChineseWords holds that the words in Chinese are those of the causes in
// package why: 接口 and 数据包.
func TestChineseWords(t *testing.T) {
	for kind, w := range words {
		if strings.Contains(w.Zh, "网卡") || strings.Count(w.Zh, "包") != strings.Count(w.Zh, "数据包") {
			t.Errorf("%s: %s", kind, w.Zh)
		}
	}
}

// TestReasons holds what is said in both languages of routes and policy rules
// that are left out.
func TestReasons(t *testing.T) {
	mail := Mail{
		Ruleset: load(t, filepath.Join(recorded, "docker-20.10-publish-80.rules")), Addresses: listed(t, "full.addr"),
		Routes: File{"r", "10.0.1.0/24 dev wg7\n10.0.2.0/24 dev ens33 linkdown dead\n10.0.3.0/24 dev ens35\n10.0.4.0/24 encap mpls 100 dev ens33\n" +
			"100:\tfrom all tos 0x10 lookup 100\n"},
	}
	p, err := New(mail, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"the route was left out (its interface is not in the listing of addresses): 10.0.1.0/24 dev wg7",
		"路由已略去（地址列表中没有它的接口）：10.0.1.0/24 dev wg7",
		"the route was left out (the kernel does not use it: its interface is down): 10.0.2.0/24 dev ens33 linkdown dead",
		"路由已略去（内核不使用它：它的接口没有启用）：10.0.2.0/24 dev ens33 linkdown dead",
		"the route was left out (its interface is down): 10.0.3.0/24 dev ens35",
		"路由已略去（它的接口没有启用）：10.0.3.0/24 dev ens35",
		`the route was left out ("encap" is not understood): 10.0.4.0/24 encap mpls 100 dev ens33`,
		"路由已略去（无法识别“encap”）：10.0.4.0/24 encap mpls 100 dev ens33",
		`the policy rule was left out ("tos" is not understood): 100: from all tos 0x10 lookup 100`,
		"策略路由规则已略去（无法识别“tos”）：100: from all tos 0x10 lookup 100",
	}
	seen := map[Reason]bool{}
	var got []string
	for _, n := range p.Notes {
		if n.Kind == RouteLeftOut || n.Kind == ChoiceLeftOut {
			got = append(got, n.Text("en"), n.Text("zh"))
			seen[n.Reason] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(seen) != len(reasons) {
		t.Errorf("%d reasons were given, there are %d", len(seen), len(reasons))
	}
}

// TestNote holds that a note tells its place and its values.
func TestNote(t *testing.T) {
	var n notes
	n.at(File{Name: "rules.txt"}, 7, RuleLeftOut, "rule", "-A INPUT -j {why}", "why", "no such match")
	const want = "rules.txt:7: iptables here refuses this rule (no such match): left out: -A INPUT -j {why}"
	if got := n.all[0].String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if zh := n.all[0].Text("zh"); !strings.Contains(zh, "拒绝") || !strings.Contains(zh, "-A INPUT") {
		t.Errorf("in Chinese: %q", zh)
	}
	if !n.all[0].LeftOut() || (Note{Kind: ServiceAssumed}).LeftOut() {
		t.Error("what is left out and what is assumed is mixed up")
	}
}

// TestCounts holds that notes which count are right about one thing as about many.
func TestCounts(t *testing.T) {
	for kind, w := range words {
		if strings.Contains(w.En, "{count}") && !strings.HasSuffix(w.En, ": {count}") {
			t.Errorf("%s: with 1 for {count} this is wrong: %s", kind, w.En)
		}
	}
}

// TestGoldenNotes holds that no note that is shown has a value missing.
func TestGoldenNotes(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".golden") {
			continue
		}
		for line := range strings.Lines(load(t, "testdata/"+f.Name()).Text) {
			if strings.HasPrefix(line, "note ") && strings.ContainsAny(line, "{}") {
				t.Errorf("%s: %s", f.Name(), line)
			}
		}
	}
}
