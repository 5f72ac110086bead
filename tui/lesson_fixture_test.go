package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
)

func both(en, zh string) scenarios.Text { return scenarios.Text{"en": en, "zh": zh} }

const natListing = `-P PREROUTING ACCEPT
-P INPUT ACCEPT
-P OUTPUT ACCEPT
-P POSTROUTING ACCEPT
-N DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80`

// fixtureSteps are three steps: one that explains and asks, one without
// traffic, and one with a goal.
func fixtureSteps() []scenarios.Step {
	yes := true
	return []scenarios.Step{
		{
			Name: "dnat", Title: both("The destination is rewritten", "改写目的地址"),
			Text: both("The client asks for port 80 of `192.168.23.149`, but the web server listens in a container at `172.17.0.2`. **One rule** of the *nat* table makes the difference:\n\n"+
				"1. PREROUTING sends what is for this machine to the chain `DOCKER`;\n2. the rule there writes a new destination into the packet.\n\n"+
				"| what | before | after |\n|---|---|---|\n| destination | `192.168.23.149:80` | `172.17.0.2:80` |\n\n"+
				"```\niptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80\n```\n\n> More in the [manual](https://netfilter.org/).",
				"客户端访问 `192.168.23.149` 的 80 端口，而网页服务在容器 `172.17.0.2` 中监听。*nat* 表中的**一条规则**使二者相通：\n\n"+
					"1. PREROUTING 把发往本机的数据包交给 `DOCKER` 链；\n2. 那里的规则把新的目的地址写入数据包。\n\n"+
					"| 字段 | 改写前 | 改写后 |\n|---|---|---|\n| 目的地址 | `192.168.23.149:80` | `172.17.0.2:80` |\n\n"+
					"```\niptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80\n```\n\n> 详见[手册](https://netfilter.org/)。"),
			Run: []scenarios.Command{{Node: "host", Text: "iptables -t nat -S"}, {Node: "client", Text: "ping -c 1 -W 1 172.17.0.2", Fails: true}},
			Ask: &scenarios.Question{Text: both("Where will the packet end?", "数据包会在哪里终止？"), Choices: []scenarios.Choice{
				{Text: both("In the host, dropped by the policy of `FORWARD`", "在主机，被 `FORWARD` 的默认策略丢弃"), Why: both("A rule of DOCKER lets it through before the policy is asked.", "在轮到默认策略之前，DOCKER 链的一条规则已放行。")},
				{Text: both("In the container, delivered", "在容器中，送达"), Right: true, Why: both("DNAT rewrites its destination, and the *filter* table lets it through.", "DNAT 改写目的地址，*filter* 表放行。")},
			}},
			Send: []string{"get"},
			Expect: []scenarios.Expectation{
				{Request: "get", Answered: &yes, Text: both("The client gets an answer.", "客户端得到应答。")},
				{Request: "get", Outcome: trace.Delivered, At: "c1", Through: []scenarios.Place{{Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2, Verdict: trace.DNAT}}},
				{Request: "get", Packet: scenarios.Reply, Outcome: trace.Dropped},
			},
			After: both("The answer takes the same way back: connection tracking turns the `DNAT` back by itself.", "应答沿原路返回：连接跟踪自动还原 `DNAT`。"),
		},
		{
			Name: "pause", Title: both("What Docker adds", "Docker 添加了什么"),
			Text: both("Nothing but rules. "+strings.Repeat("They are ordinary rules, which anybody can list and change. ", 12), "只有规则。"+strings.Repeat("这些都是普通规则，任何人都可以查看和修改。", 16)),
		},
		{
			Name: "mend", Title: both("Mend it", "修好它"), Text: both("Somebody has deleted a rule.", "有人删除了一条规则。"),
			Goal: &scenarios.Goal{Text: both("Make the client's request reach `c1`.", "让客户端的请求到达 `c1`。"), Send: []string{"get"},
				Expect:   []scenarios.Expectation{{Request: "get", Outcome: trace.Delivered, At: "c1"}},
				Hints:    []scenarios.Text{both("Watch where it ends.", "看它在哪里终止。"), both("List the *filter* table.", "列出 *filter* 表。"), both("A rule of `DOCKER` is missing.", "`DOCKER` 链少了一条规则。")},
				Solution: []scenarios.Command{{Node: "host", Text: "iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT"}}},
		},
	}
}

// newFixtureSession is a session of the fixture's steps.
func newFixtureSession() *fakeSession {
	f := newFakeSession(fixtureSteps())
	f.traffic[0] = fixtureWalks()[:3]
	for i, e := range f.steps[0].Expect {
		r := expect.Result{Expectation: e, Holds: i < 2, Walk: []int{0, 1, 2}[i]}
		if i == 2 {
			r.Fault = expect.WrongOutcome
		}
		f.results[0] = append(f.results[0], r)
	}
	f.output["iptables -t nat -S"] = natListing
	f.output["ping -c 1 -W 1 172.17.0.2"] = "PING 172.17.0.2 (172.17.0.2) 56(84) bytes of data.\n\n--- 172.17.0.2 ping statistics ---\n1 packets transmitted, 0 received, 100% packet loss, time 0ms"
	f.output["ip -c addr"] = "1: \x1b[36mlo\x1b[0m: <LOOPBACK,UP> mtu 65536\n\tinet \x1b[35m127.0.0.1\x1b[0m/8"
	return f
}

// newLessonModel is a model of a given size that plays the fixture's lesson.
func newLessonModel(t testing.TB, lang string, w, h int) (*model, *fakeSession) {
	f := newFixtureSession()
	c := fixtureConfig(t, lang)
	c.Session, c.Steps = f, f.steps
	m := newModel(c, nil)
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return m, f
}

// catchUp brings the model what the session has sent, as feedSession would.
func catchUp(m *model, f *fakeSession) {
	for {
		select {
		case s := <-f.states:
			m.Update(playMsg{waiting(f.walks), s})
		default:
			if walks := waiting(f.walks); walks != nil {
				m.Update(walksMsg{walks})
			}
			return
		}
	}
}

// do presses keys, and lets the session answer each.
func do(m *model, f *fakeSession, keys ...string) {
	for _, k := range keys {
		press(m, k)
		catchUp(m, f)
	}
}

// start enters the first step.
func start(m *model, f *fakeSession) {
	f.begin(0)
	catchUp(m, f)
}

// playOut lets the clock run until it stands still.
func playOut(t *testing.T, m *model) {
	t.Helper()
	for i := 0; m.ticking; i++ {
		if i > 20000 {
			t.Fatal("the clock does not stop")
		}
		m.Update(tickMsg{m.generation})
	}
}

// goOnUntil presses the key that goes on until the session is where it should be.
func goOnUntil(m *model, f *fakeSession, there func(play.State) bool) {
	for i := 0; !there(f.state) && i < 50; i++ {
		do(m, f, "n")
	}
}

// situations leads a model through the lesson, and calls look wherever the
// screen shows something new.
func situations(t *testing.T, m *model, f *fakeSession, look func(what string)) {
	t.Helper()
	look("before the first state")
	start(m, f)
	look("reading")
	for i := 0; f.state.Phase == play.Reading; i++ {
		do(m, f, "n")
		look(fmt.Sprintf("page %d", i+2))
	}
	do(m, f, "enter")
	look("an answer is missing")
	do(m, f, "down", "down")
	look("an answer is chosen")
	do(m, f, "enter")
	look("the packet moves")
	for range 20 {
		m.Update(tickMsg{m.generation})
	}
	look("the packet has moved on")
	playOut(t, m)
	look("the results")
	do(m, f, "v")
	look("the stage again")
	do(m, f, "v", "end")
	look("the end of the card")
	goOnUntil(m, f, func(s play.State) bool { return s.Step == 1 })
	look("another step")
	goOnUntil(m, f, func(s play.State) bool { return s.Phase == play.Working })
	look("the goal")
	do(m, f, "t", "t")
	look("hints")
	do(m, f, ":")
	m.Update(tea.PasteMsg{Content: "c1: ip -c addr"})
	look("typing")
	do(m, f, "enter")
	look("what was typed")
	do(m, f, "o")
	look("the solution")
	do(m, f, "x")
	look("reset?")
	do(m, f, "n", "O", "y")
	look("reached")
	do(m, f, "m")
	look("remote mode")
	do(m, f, "?")
	look("help")
	do(m, f, "?", "m")
}

// hostileSteps are texts, commands and answers that are long, wide, or want to
// take the terminal over.
func hostileSteps() []scenarios.Step {
	long := strings.Repeat("数据包经过主机的nat表，（目的地址）改写为“172.17.0.2:80”。", 6)
	word := strings.Repeat("x", 200)
	return []scenarios.Step{{
		Title: both(strings.Repeat("A very long title ", 20), strings.Repeat("很长的标题", 40)),
		Text: both("# "+long+"\n\n- "+word+"\n  1. nested "+long+"\n     - `"+word+"`\n\n> "+long+"\n\n"+
			"|a|"+long+"|c|d|e|f|g|h|i|j|k|l|m|n|\n|-|-|-|-|-|-|-|-|-|-|-|-|-|-|\n|"+word+"|b|c|d|e|f|g|h|i|j|k|l|m|n|\n\n"+
			"|什么|之前|\n|-|-|\n|"+long+"|"+word+"|\n\n    "+word+"\n\n<b>raw</b> \x1b[31mred\x1b[0m\u202e back\\\nbreak <https://example.org/"+word+">",
			long+"\n\n"+long),
		Run:  []scenarios.Command{{Node: "host", Text: "iptables " + word + " \x1b[2J"}, {Node: "a-node-with-a-very-long-name-that-leaves-little-room", Text: long}},
		Ask:  &scenarios.Question{Text: both(long, long), Choices: []scenarios.Choice{{Text: both(word, word), Why: both(long, long)}, {Text: both(long, long), Right: true, Why: both(word, word)}, {}}},
		Send: []string{"get"}, After: both(long, long),
		Goal: &scenarios.Goal{Text: both(long, long), Hints: []scenarios.Text{both(word, word), both("a\n\nb\n\n    c", "甲\n\n乙")}, Solution: []scenarios.Command{{Node: "host", Text: word}}},
	}}
}
