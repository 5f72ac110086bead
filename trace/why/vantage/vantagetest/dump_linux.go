package vantagetest

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab/labtest"
	"packetwalk/trace/nflog"
)

// looks are the commands that show what a question could change on a machine.
var looks = []string{
	"ip link", "ip address", "ip maddress", "ip route show table all", "ip -6 route show table all", "ip rule", "ip -6 rule",
	"iptables-nft-save", "iptables-legacy-save", "ip6tables-nft-save", "nft list ruleset",
	`sysctl -e -a -r ^net\.(ipv4|ipv6)\.(conf|neigh|ip_forward)`,
}

// passing is what packets and time change: counters, and comments with the time of day.
var passing = regexp.MustCompile(`(?m)\[\d+:\d+\]|packets \d+ bytes \d+|^#.*\n`)

// Dump is what a network namespace has that a question could change, as lines.
func Dump(t *testing.T, n nflog.Namespace) []string {
	t.Helper()
	var b strings.Builder
	for _, line := range looks {
		words := strings.Fields(line)
		if _, err := exec.LookPath(words[0]); err != nil {
			labtest.Skip(t, words[0]+" is missing: apt-get install iproute2 iptables nftables procps")
		}
		var out []byte
		err := n.Do(func() (err error) {
			out, err = exec.Command(words[0], words[1:]...).Output()
			var exit *exec.ExitError
			if words[0] == "sysctl" && errors.As(err, &exit) {
				err = nil // some may not be read
			}
			if errors.As(err, &exit) {
				err = fmt.Errorf("%w: %s", err, exit.Stderr)
			}
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		fmt.Fprintf(&b, "$ %s\n%s", line, passing.ReplaceAllString(string(out), ""))
	}
	return strings.Split(b.String(), "\n")
}

// Settled is Dump once the kernel has done what it does by itself with new
// interfaces: they have link-local addresses, and have found these to be unique.
func Settled(t *testing.T, n nflog.Namespace) []string {
	t.Helper()
	var now []string
	tentative := func(line string) bool { return strings.Contains(line, "tentative") }
	Eventually(t, "the host to settle", func() bool {
		was := now
		now = Dump(t, n)
		return slices.Equal(was, now) && !slices.ContainsFunc(now, tentative)
	})
	return now
}

// Unchanged waits until a namespace is again as it was.
func Unchanged(t *testing.T, n nflog.Namespace, before []string) {
	t.Helper()
	var after []string
	Eventually(t, "the host to be as before", func() bool {
		after = Dump(t, n)
		return slices.Equal(before, after)
	})
	if diff := cmp.Diff(before, after); diff != "" {
		t.Fatalf("the host (-before +after):\n%s", diff)
	}
}

// Eventually asks until the answer is yes: what is waited for happens in the
// kernel or in another process, which do not tell.
func Eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !yes(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited 20 s for %s", what)
			return
		}
	}
}
