package host

import (
	"regexp"
	"strconv"
	"strings"
)

// handleAtEnd is what "nft -a" writes behind everything that has a handle.
var handleAtEnd = regexp.MustCompile(` # handle (\d+)$`)

// ruleTexts takes rules out of the output of "nft -a list chain", by handle. A
// rule can have several lines, where it has a set of its own.
func ruleTexts(listing string) map[uint64]string {
	texts := map[uint64]string{}
	var parts []string
	for line := range strings.Lines(listing) {
		line = strings.TrimSpace(line)
		m := handleAtEnd.FindStringSubmatch(line)
		if isNoRule(line) {
			parts = nil
			continue
		}
		if m == nil {
			parts = append(parts, line)
			continue
		}
		handle, err := strconv.ParseUint(m[1], 10, 64)
		if err == nil {
			texts[handle] = strings.Join(append(parts, strings.TrimSuffix(line, m[0])), " ")
		}
		parts = nil
	}
	return texts
}

// isNoRule says whether a line belongs to what is around rules.
func isNoRule(line string) bool {
	for _, begin := range []string{"table ", "chain ", "type ", "policy ", "comment "} {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	return line == "" || line == "}"
}
