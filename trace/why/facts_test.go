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
			"the kernel's own word: NO_SOCKET (tcp_v4_rcv): nothing listens", "内核给出的丢弃原因：NO_SOCKET（tcp_v4_rcv）：没有程序监听",
		},
		{
			Fact{Kind: KernelAgrees, Values: Values{"reason": "NO_SOCKET", "function": ""}},
			"the kernel's own word: NO_SOCKET: nothing listens", "内核给出的丢弃原因：NO_SOCKET：没有程序监听",
		},
		{
			Fact{Kind: KernelOther, Values: Values{"reason": "TC_INGRESS", "function": "sch_handle_ingress"}},
			"the kernel gave another reason for dropping the packet: TC_INGRESS (sch_handle_ingress)", "内核给出了另一个丢弃原因：TC_INGRESS（sch_handle_ingress）",
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
	a := Explain(Evidence{Attempt: Attempt{Result: Answered, Status: 200, Body: 15, Cut: true}})
	if got := a.Evidence[0].Text("en"); got != "the server answered with 200 OK, ≥15 bytes" {
		t.Errorf("of a page that may be longer: %q", got)
	}
}

// TestReasonWords has a meaning for every reason of the kernel's that speaks for
// a cause.
func TestReasonWords(t *testing.T) {
	used := map[string]bool{}
	for _, c := range Causes() {
		for _, r := range c.Reasons {
			if w := reasonWords[r]; w.En == "" || w.Zh == "" {
				t.Errorf("%s: there are no words for %s", c.Name, r)
			}
			used[r] = true
		}
	}
	for r := range reasonWords {
		if !used[r] {
			t.Errorf("no cause has %s", r)
		}
	}
}

// TestKernelsWordOfNothing holds that the kernel's word contradicts nothing where
// nothing was blamed.
func TestKernelsWordOfNothing(t *testing.T) {
	e := dockerHost(t)
	e.Attempt.Result = Refused
	e.Drops = []Drop{{Reason: "NO_SOCKET", Location: "tcp_v4_rcv"}}
	a := Explain(e)
	said := slices.ContainsFunc(a.Evidence, func(f Fact) bool { return f.Kind == KernelAgrees && f.Values["reason"] == "NO_SOCKET" })
	if a.Cause != Unknown || !said {
		t.Errorf("%s: %+v", a.Cause, a.Evidence)
	}
}
