package rebuild

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// FileError says what is wrong with a text, and where.
type FileError struct {
	File string
	Line int // counts from 1; 0 for the whole
	// Problem says what is wrong and, where there is a way, what to send instead.
	Problem string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem)
}

func (f File) fault(line int, format string, args ...any) error {
	return &FileError{File: f.Name, Line: line, Problem: fmt.Sprintf(format, args...)}
}

// maxSize is how long a text may be, in bytes: some hundred times what a busy
// host of Kubernetes has.
const maxSize = 64 << 20

// lines are the lines of a text that can be one, without their ends and without
// a byte order mark. What is the command that prints such a text.
func (f File) lines(what string) ([]string, error) {
	text := strings.TrimPrefix(f.Text, "\ufeff")
	switch {
	case len(text) > maxSize:
		return nil, f.fault(0, "it is longer than %d MiB: is it the output of %s?", maxSize>>20, what)
	case strings.TrimSpace(text) == "":
		return nil, f.fault(0, "it is empty: send the output of %s", what)
	case strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff"):
		return nil, f.fault(0, "it is in UTF-16: save it as plain text")
	}
	all := strings.Split(text, "\n")
	for i, l := range all {
		if at := strings.IndexFunc(l, isBinary); at >= 0 {
			return nil, f.fault(i+1, "there is a byte %#02x in it: it is no text, but binary", l[at])
		}
		if !utf8.ValidString(l) && !strings.Contains(l, `"`) && !strings.HasPrefix(strings.TrimSpace(l), "#") {
			return nil, f.fault(i+1, "it is not UTF-8 outside of comments: is it the output of %s?", what)
		}
		all[i] = strings.TrimRight(l, "\r")
	}
	return all, nil
}

func isBinary(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0x7f }
