package scenarios

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed catalogue.yaml */*.yaml
var files embed.FS

// folders hold the files of the catalogue.
var folders = []string{"course", "challenges"}

// Chapter is a part of the catalogue.
type Chapter struct {
	Title     Text
	Scenarios []Scenario
}

// UnknownError says that the catalogue has no scenario of this name.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no scenario %q; there are: %s", e.Name, strings.Join(names(), ", "))
}

// contents is what catalogue.yaml says of a chapter.
type contents struct {
	Title     Text
	Scenarios []string
}

// readContents reads catalogue.yaml. Names without a file are left out.
func readContents() []contents {
	data, err := files.ReadFile("catalogue.yaml")
	var all []contents
	if err == nil {
		err = yaml.UnmarshalWithOptions(data, &all, yaml.Strict())
	}
	if err != nil {
		panic("reading the embedded catalogue: " + err.Error()) // a test reads it
	}
	for i := range all {
		all[i].Scenarios = slices.DeleteFunc(all[i].Scenarios, func(name string) bool { return fileOf(name) == "" })
	}
	return all
}

// names lists the scenarios of the catalogue in their order.
func names() []string {
	var all []string
	for _, c := range readContents() {
		all = append(all, c.Scenarios...)
	}
	return all
}

// fileOf finds the file of a scenario by its name; empty where there is none.
func fileOf(name string) string {
	if strings.Contains(name, "/") {
		return ""
	}
	for _, folder := range folders {
		file := path.Join(folder, name+".yaml")
		if f, err := files.Open(file); err == nil {
			_ = f.Close() // an embedded file has nothing to lose
			return file
		}
	}
	return ""
}

// Chapters is the catalogue. A chapter without scenarios is left out.
func Chapters() []Chapter {
	var all []Chapter
	for _, c := range readContents() {
		chapter := Chapter{Title: c.Title}
		for _, name := range c.Scenarios {
			s, err := Load(name)
			if err != nil {
				panic(err) // a test reads every embedded scenario
			}
			chapter.Scenarios = append(chapter.Scenarios, s)
		}
		if len(chapter.Scenarios) > 0 {
			all = append(all, chapter)
		}
	}
	return all
}

// List is the catalogue without its chapters, in the same order.
func List() []Scenario {
	var all []Scenario
	for _, c := range Chapters() {
		all = append(all, c.Scenarios...)
	}
	return all
}

// Load finds a scenario of the catalogue by name. The error is an *UnknownError
// where there is none.
func Load(name string) (Scenario, error) {
	d, err := LoadDraft(name)
	if err != nil {
		return Scenario{}, err
	}
	return d.Scenario, d.Err()
}

// LoadDraft is Load for those who look for faults.
func LoadDraft(name string) (*Draft, error) {
	file := fileOf(name)
	if file == "" {
		return nil, &UnknownError{name}
	}
	data, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	return Read(file, data), nil
}
