package nflog

import (
	"strconv"
	"strings"
)

// Prefix is what a probe writes in front of what it logs: it names the run and
// the probe, and says what came into being for it.
type Prefix struct {
	Run    string
	Probe  int
	Origin Origin
}

const (
	// prefixMark begins the prefix of every probe of every run.
	prefixMark = "packetwalk:"
	// maxRun is how long a run's name may be. The prefix must fit the 63
	// characters of struct xt_nflog_info (include/uapi/linux/netfilter/xt_NFLOG.h).
	maxRun = 32
)

// String writes the prefix; ParsePrefix reads it back.
func (p Prefix) String() string {
	return prefixMark + p.Run + ":" + strconv.FormatInt(int64(p.Probe), 36) + ":" + string(p.Origin)
}

// ParsePrefix reads a log prefix; ok is false where it is not one of ours.
func ParsePrefix(prefix string) (p Prefix, ok bool) {
	rest, ours := strings.CutPrefix(prefix, prefixMark)
	f := strings.Split(rest, ":")
	if !ours || len(f) != 3 || f[0] == "" || len(f[0]) > maxRun {
		return Prefix{}, false
	}
	n, err := strconv.ParseUint(f[1], 36, 31)
	if err != nil {
		return Prefix{}, false
	}
	p = Prefix{Run: f[0], Probe: int(n), Origin: Origin(f[2])}
	switch p.Origin {
	case Existed, MadeChain, MadeTable:
		return p, true
	}
	return Prefix{}, false
}
