package scenarios

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// languages are those that every text of the catalogue is written in.
var languages = []string{"en", "zh"}

// embedded lists the names of the files in the catalogue's folders.
func embedded(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, folder := range folders {
		found, err := fs.Glob(files, folder+"/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			all = append(all, strings.TrimSuffix(path.Base(f), ".yaml"))
		}
	}
	return all
}

// TestCatalogue sees that every file is read and has its place in the order,
// under the name that the scenario gives itself.
func TestCatalogue(t *testing.T) {
	want := embedded(t)
	if len(want) == 0 {
		t.Fatal("the catalogue is empty")
	}
	var got []string
	for _, s := range List() {
		got = append(got, s.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files and names in the order of catalogue.yaml (-files +names):\n%s", diff)
	}
	for _, c := range readContents() {
		for _, lang := range languages {
			if c.Title[lang] == "" {
				t.Errorf("the chapter of %v has no title in %s", c.Scenarios, lang)
			}
		}
	}
}

// TestCatalogueLanguages sees that no text of the catalogue lacks a language,
// and that every scenario has a summary.
func TestCatalogueLanguages(t *testing.T) {
	for _, name := range names() {
		d, err := LoadDraft(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Scenario.Summary) == 0 {
			t.Errorf("%s has no summary", name)
		}
		for _, placed := range d.reader.texts {
			for _, lang := range languages {
				if placed.text[lang] == "" {
					t.Errorf("%s: %s is not there in %s", name, placed.path, lang)
				}
			}
		}
	}
}

func TestLoadUnknown(t *testing.T) {
	for _, name := range []string{"nothing", "", "../course/publish-port", "course/publish-port"} {
		_, err := Load(name)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "publish-port") {
			t.Errorf("Load(%q) = %v", name, err)
		}
	}
}
