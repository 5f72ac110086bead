package ruleset

import (
	"strconv"
	"strings"
)

// SetMark is what a MARK rule makes of a mark: iptables-save writes each of the
// target's options as --set-xmark VALUE/MASK (mark_tg_save in
// extensions/libxt_MARK.c), which clears the bits of the mask and flips those of
// the value (mark_tg in net/netfilter/xt_mark.c). ok is false for any other rule.
func SetMark(rule string, mark uint32) (set uint32, ok bool) {
	words, err := Words(rule)
	if n := len(words); err != nil || n < 2 || words[n-2] != "--set-xmark" {
		return 0, false
	}
	value, mask, _ := strings.Cut(words[len(words)-1], "/")
	v, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return 0, false
	}
	m, err := strconv.ParseUint(mask, 0, 32)
	if err != nil {
		return 0, false
	}
	return mark&^uint32(m) ^ uint32(v), true
}
