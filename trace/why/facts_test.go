package why

import (
	"slices"
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

// TestPage says what came of a page that was asked for.
func TestPage(t *testing.T) {
	for status, want := range map[int][]string{
		404: {"the server answered with 404 Not Found, 15 bytes", "服务器返回 404 Not Found，15 字节"},
		799: {"the server answered with 799, 15 bytes", "服务器返回 799，15 字节"},
		0:   nil,
	} {
		a := Explain(Evidence{Attempt: Attempt{Result: Answered, Status: status, Body: 15}})
		var got []string
		for _, f := range a.Evidence {
			got = append(got, f.Text("en"), f.Text("zh"))
		}
		if !a.Reachable || !slices.Equal(got, want) {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}
