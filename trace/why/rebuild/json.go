package rebuild

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// decodeJSON reads the objects of lists, or single ones, one text after the other.
func decodeJSON[T any](f File, text string, take func(line int, v T) error) error {
	d := json.NewDecoder(strings.NewReader(text))
	lineAt := func(offset int64) int { return 1 + strings.Count(text[:min(int(offset), len(text))], "\n") }
	for {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		line := lineAt(d.InputOffset())
		if errors.Is(err, io.ErrUnexpectedEOF) {
			line = lineAt(int64(len(strings.TrimRight(text, "\n"))))
		}
		if err != nil {
			return f.fault(line, "this JSON cannot be read: %v: is it complete?", err)
		}
		var all []T
		if raw[0] != '[' {
			raw = slices.Concat([]byte("["), raw, []byte("]"))
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			return f.fault(line, "this JSON is not what ip -j prints: %v", err)
		}
		for _, v := range all {
			if err := take(line, v); err != nil {
				return err
			}
		}
	}
}
