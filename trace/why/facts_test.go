package why

import (
	"testing"

	"packetwalk/trace/host"
)

// TestFactText puts facts into words whose values depend on the language, or may
// be missing.
func TestFactText(t *testing.T) {
	for _, test := range []struct {
		fact   Fact
		en, zh string
	}{
		{
			Fact{Kind: RequestEnded, Values: Values{"outcome": "dropped", "node": "host", "place": "filter/INPUT", "rule": "3"}},
			"the request was dropped in host at filter/INPUT rule 3", "请求在 host 的 filter/INPUT 规则 3 处被丢弃",
		},
		{
			Fact{Kind: ReplyEnded, Values: Values{"outcome": "lost", "node": "host", "place": "POSTROUTING"}},
			"the reply was lost in host at POSTROUTING", "应答在 host 的 POSTROUTING 处丢失",
		},
		{
			Fact{Kind: KernelAgrees, Values: Values{"reason": "NO_SOCKET", "function": "tcp_v4_rcv"}},
			"the kernel's own word: NO_SOCKET (tcp_v4_rcv)", "内核给出的丢弃原因：NO_SOCKET（tcp_v4_rcv）",
		},
		{
			Fact{Kind: KernelAgrees, Values: Values{"reason": "NO_SOCKET", "function": ""}},
			"the kernel's own word: NO_SOCKET", "内核给出的丢弃原因：NO_SOCKET",
		},
		{
			Fact{Kind: NotLookedAt, Values: Values{"part": string(host.Neighbors), "node": "c1", "err": "EPERM"}},
			"the neighbours of c1 could not be read: EPERM", "无法读取 c1 的邻居表：EPERM",
		},
	} {
		for lang, want := range map[string]string{"en": test.en, "zh": test.zh} {
			if got := test.fact.Text(lang); got != want {
				t.Errorf("%s: %q, want %q", lang, got, want)
			}
		}
	}
}
