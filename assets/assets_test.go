package assets

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// leaves lists every string of a catalogue by its path.
func leaves(v reflect.Value, path string, into map[string]string) {
	if v.Kind() == reflect.String {
		into[path] = v.String()
		return
	}
	for i := range v.NumField() {
		leaves(v.Field(i), path+"."+v.Type().Field(i).Name, into)
	}
}

func catalogue(m Messages) map[string]string {
	into := map[string]string{}
	leaves(reflect.ValueOf(m), "", into)
	return into
}

func TestEnglishIsComplete(t *testing.T) {
	for path, text := range catalogue(For("en")) {
		if text == "" {
			t.Errorf("%s is empty", path)
		}
	}
}

func TestChineseHasEveryKey(t *testing.T) {
	var zh Messages // not merged over English, so that a missing key shows
	d := json.NewDecoder(bytes.NewReader(chinese))
	d.DisallowUnknownFields()
	if err := d.Decode(&zh); err != nil {
		t.Fatal(err)
	}
	braced := regexp.MustCompile(`\{[a-z]+\}`)
	words := func(s string) []string {
		w := braced.FindAllString(s, -1)
		slices.Sort(w)
		return slices.Compact(w)
	}
	en := catalogue(For("en"))
	for path, text := range catalogue(zh) {
		if text == "" {
			t.Errorf("%s is missing in Chinese", path)
		}
		if diff := cmp.Diff(words(en[path]), words(text)); diff != "" {
			t.Errorf("%s has other words to fill in (-en +zh):\n%s", path, diff)
		}
	}
}

func TestMatch(t *testing.T) {
	for lang, want := range map[string]string{
		"": "en", "C": "en", "en": "en", "en_GB.UTF-8": "en", "zh": "zh", "zh_CN.UTF-8": "zh", "zh-Hans": "zh", "ZH": "zh", "zha": "en", "de": "en",
	} {
		if got := Match(lang); got != want {
			t.Errorf("Match(%q) = %q, want %q", lang, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	got := Fill("{nat} of {table}/{chain}, {nat}", "nat", "DNAT", "table", "nat", "chain", "{nat}")
	if want := "DNAT of nat/{nat}, DNAT"; got != want {
		t.Errorf("Fill = %q, want %q", got, want)
	}
}

func TestThemesAreColours(t *testing.T) {
	hex := regexp.MustCompile(`^#[0-9a-f]{6}$`)
	for _, dark := range []bool{false, true} {
		v := reflect.ValueOf(ThemeFor(dark))
		for i := range v.NumField() {
			if !hex.MatchString(v.Field(i).String()) {
				t.Errorf("dark=%v: %s is %q", dark, v.Type().Field(i).Name, v.Field(i))
			}
		}
	}
}
