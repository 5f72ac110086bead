package assets

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed zh.json
var chinese []byte

// Languages lists the languages that For knows, the fallback first.
func Languages() []string { return []string{"en", "zh"} }

// For is the catalogue of a language, given as "en", "zh" or a locale such as
// "zh_CN.UTF-8". Any other language gets English.
func For(lang string) Messages {
	m := english()
	if Match(lang) != "zh" {
		return m
	}
	// What is embedded is checked by the tests, so this cannot fail in a built program.
	if err := json.Unmarshal(chinese, &m); err != nil {
		panic(fmt.Sprintf("reading the built-in Chinese catalogue: %v", err))
	}
	return m
}

// Match turns a language or a locale into one of Languages.
func Match(lang string) string {
	lang = strings.ToLower(lang)
	for _, known := range Languages() {
		rest, found := strings.CutPrefix(lang, known)
		if found && (rest == "" || strings.ContainsRune("-_.@", rune(rest[0]))) {
			return known
		}
	}
	return Languages()[0]
}

// Fill replaces the braced words of a message: Fill("to {dst}", "dst", addr).
// The pairs are a word and what stands for it.
func Fill(message string, pairs ...string) string {
	braced := make([]string, len(pairs))
	for i := range pairs {
		braced[i] = pairs[i]
		if i%2 == 0 {
			braced[i] = "{" + pairs[i] + "}"
		}
	}
	return strings.NewReplacer(braced...).Replace(message)
}
