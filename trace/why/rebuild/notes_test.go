package rebuild

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
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
