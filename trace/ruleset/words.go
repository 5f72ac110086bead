package ruleset

import (
	"errors"
	"strings"
)

var errQuote = errors.New("a quoted word is not closed")

// Words splits a line into words the way iptables-restore does: blanks
// separate, double quotes hold together, and inside them a backslash takes the
// next character as it is (add_param_to_argv in iptables/xshared.c).
func Words(line string) ([]string, error) {
	if !strings.Contains(line, `"`) { // most rules
		return strings.FieldsFunc(line, func(r rune) bool { return r < 128 && isBlank(byte(r)) }), nil
	}
	var words []string
	var word strings.Builder
	open, quoted, escaped := false, false, false
	for i := range len(line) { // bytes: what is no UTF-8 must stay as it is
		r := line[i]
		switch {
		case escaped:
			word.WriteByte(r)
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted, open = !quoted, true
		case !quoted && isBlank(r):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		default:
			word.WriteByte(r)
			open = true
		}
	}
	if quoted {
		return nil, errQuote
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

func isBlank(r byte) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// Join puts words into one line that Words splits into the same words.
func Join(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quote(w))
	}
	return b.String()
}

func quote(w string) string {
	if w != "" && !strings.ContainsAny(w, " \t\n\r\"\\'") {
		return w
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(w) {
		if r := w[i]; r == '"' || r == '\\' || r == '\'' {
			b.WriteByte('\\')
		}
		b.WriteByte(w[i])
	}
	b.WriteByte('"')
	return b.String()
}
