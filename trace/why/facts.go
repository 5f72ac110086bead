package why

import (
	"net/http"
	"strconv"
	"strings"

	"packetwalk/assets"
	"packetwalk/trace"
)

// The kinds of fact.
const (
	// What became of the packets.
	NothingSent      FactKind = "nothing-sent"
	RequestEnded     FactKind = "request"
	ReplyEnded       FactKind = "reply"
	RefusalCame      FactKind = "refusal"
	NoReplySeen      FactKind = "no-reply"
	Rewritten        FactKind = "rewritten"
	RequestElsewhere FactKind = "request-elsewhere"
	PacketTooBig     FactKind = "too-big"
	PageCame         FactKind = "page"

	// What the kernel says.
	KernelAgrees  FactKind = "kernel-agrees"
	KernelOther   FactKind = "kernel-other"
	KernelRefuses FactKind = "kernel-refuses"

	// How things stand.
	SocketsThere  FactKind = "sockets"
	NoSockets     FactKind = "no-sockets"
	RuleStands    FactKind = "rule"
	NativeStands  FactKind = "nft-chain"
	StateOf       FactKind = "state"
	WayTo         FactKind = "way"
	WayBack       FactKind = "way-back"
	BetterWay     FactKind = "better-way"
	HasAddress    FactKind = "address"
	KnowsNeighbor FactKind = "neighbor"
	PublishedPort FactKind = "published"
	PublishedAs   FactKind = "published-as"
	KeptApart     FactKind = "kept-apart"

	// What could not be seen, and what would show it.
	EventsLost   FactKind = "events-lost"
	NotLookedAt  FactKind = "not-looked-at"
	KernelDeaf   FactKind = "kernel-not-asked"
	KernelMissed FactKind = "kernel-missed"
	WouldShow    FactKind = "would-show"

	// In what an outside client that was made for the question differs from a real one.
	OutsideStartsHere    FactKind = "outside-starts-here"
	RuleNamesInterface   FactKind = "rule-names-interface"
	RuleNamesSender      FactKind = "rule-names-sender"
	ChoiceNamesInterface FactKind = "policy-rule-names-interface"
	SettingDiffers       FactKind = "setting-differs"

	// On what an answer about a rebuilt host rests; see package rebuild. LeftOut and
	// Assumed have their text in Values, by its language.
	CopyLacks FactKind = "copy-lacks"
	LeftOut   FactKind = "left-out"
	Assumed   FactKind = "assumed"
)

// factWords are the sentences for facts, by language. The braces are Values.
var factWords = map[FactKind]Words{
	NothingSent:   {En: "no packet left {from}: its own kernel refused ({err})", Zh: "没有数据包离开 {from}：它自己的内核拒绝了（{err}）"},
	RequestEnded:  {En: "the request was {outcome} in {node} at {place}", Zh: "请求在 {node} 的 {place} 处{outcome}"},
	ReplyEnded:    {En: "the reply was {outcome} in {node} at {place}", Zh: "应答在 {node} 的 {place} 处{outcome}"},
	RefusalCame:   {En: "{node} answered with {packet}", Zh: "{node} 以 {packet} 回应"},
	NoReplySeen:   {En: "no reply was seen to leave {node}", Zh: "没有看到应答离开 {node}"},
	Rewritten:     {En: "{table}/{chain} rule {rule} in {node} rewrote the destination to {dst}", Zh: "{node} 的 {table}/{chain} 第 {rule} 条规则把目的地址改写为 {dst}"},
	KernelAgrees:  {En: "the kernel's own word: {reason} ({function}){meaning}", Zh: "内核给出的丢弃原因：{reason}（{function}）{meaning}"},
	KernelOther:   {En: "the kernel gave another reason for dropping the packet: {reason} ({function}){meaning}", Zh: "内核给出了另一个丢弃原因：{reason}（{function}）{meaning}"},
	EventsLost:    {En: "{events} events of the trace were lost: the walk may have holes; ask again on a quieter machine", Zh: "跟踪丢失了 {events} 个事件：路径可能不完整；请在机器较空闲时再试一次"},
	NotLookedAt:   {En: "{part} of {node} could not be read: {err}", Zh: "无法读取 {node} 的{part}：{err}"},
	KernelDeaf:    {En: "the kernel's own reason for the drop could not be read: {err}", Zh: "无法读取内核给出的丢弃原因：{err}"},
	KernelMissed:  {En: "the kernel dropped more packets at once than could be read; its reason for this one may be among those that were missed", Zh: "内核同时丢弃的数据包太多，未能全部读取；这个数据包的丢弃原因可能就在遗漏的记录中"},
	SocketsThere:  {En: "{node} listens on: {sockets}", Zh: "{node} 正在监听：{sockets}"},
	NoSockets:     {En: "nothing listens in {node} for {proto}", Zh: "{node} 中没有程序监听 {proto}"},
	RuleStands:    {En: "{node}, {table}/{chain} rule {rule}: {text}", Zh: "{node}，{table}/{chain} 第 {rule} 条规则：{text}"},
	StateOf:       {En: "{node}: {text}", Zh: "{node}：{text}"},
	WayTo:         {En: "{node}: the way to {to} is: {text}", Zh: "{node}：到 {to} 的路由是：{text}"},
	WayBack:       {En: "{node}: the way back to {to} is: {text}", Zh: "{node}：返回 {to} 的路由是：{text}"},
	BetterWay:     {En: "{node}: this leads to {to}, and is not taken: {text}", Zh: "{node}：通往 {to} 却没有被选中的路由是：{text}"},
	HasAddress:    {En: "{node} has the address {text}", Zh: "{node} 拥有地址 {text}"},
	KnowsNeighbor: {En: "{node}: its neighbour table says: {text}", Zh: "{node}：它的邻居表记着：{text}"},
	WouldShow:     {En: "{command} in {node} would show more", Zh: "在 {node} 中运行 {command} 可以看到更多"},
	OutsideStartsHere: {
		En: "the outside client {address} was at {interface}, a link of its own to {node}: what a real one passes before that (routers, a cloud's firewall, XDP or tc at the real interface) had no part in this",
		Zh: "外部客户端 {address} 接在 {node} 的专用接口 {interface} 上：真实客户端在此之前经过的一切（路由器、云防火墙、真实接口上的 XDP 或 tc）都不在这次测试之内",
	},
	RuleNamesInterface: {
		En: "{node}, {table}/{chain} rule {rule} tells {interface} from other interfaces, so what comes in there may be treated differently: {text}",
		Zh: "{node}，{table}/{chain} 第 {rule} 条规则区分了 {interface} 与其他接口，从那里进来的数据包可能有不同的结果：{text}",
	},
	RuleNamesSender: {
		En: "{node}, {table}/{chain} rule {rule} tells senders apart, so others than {address} may be treated differently: {text}",
		Zh: "{node}，{table}/{chain} 第 {rule} 条规则区分了发送方，{address} 以外的发送方可能有不同的结果：{text}",
	},
	ChoiceNamesInterface: {
		En: "{node}: a policy routing rule is for what comes in by {interface} only: {text}",
		Zh: "{node}：有一条策略路由规则只针对从 {interface} 进来的数据包：{text}",
	},
	SettingDiffers: {
		En: "{node}: {text}, but {own} for the outside client's link",
		Zh: "{node}：{text}，而外部客户端所用的接口是 {own}",
	},
	CopyLacks: {
		En: "not everything that was sent is in the rebuilt host: the answer holds only if nothing of what was left out decides about this packet",
		Zh: "发来的内容没有全部重建：只有略去的内容都不影响这个数据包，这个答案才成立",
	},
	LeftOut:       {En: "{en}", Zh: "{zh}"},
	Assumed:       {En: "{en}", Zh: "{zh}"},
	PublishedPort: {En: "Docker publishes {container}'s port {inside} on {outside}", Zh: "Docker 把 {container} 的端口 {inside} 发布在 {outside} 上"},
	KernelRefuses: {En: "the kernel of {node}, asked for the way to {to}, refuses: {err}", Zh: "向 {node} 的内核查询到 {to} 的路径时，它拒绝了：{err}"},
	PageCame:      {En: "the server answered with {status}, {bytes} bytes", Zh: "服务器返回 {status}，{bytes} 字节"},
	PacketTooBig:  {En: "a packet of {length} bytes does not fit into {dev} of {node}, whose MTU is {mtu}", Zh: "{length} 字节的数据包放不进 {node} 的 {dev}，其 MTU 为 {mtu}"},

	RequestElsewhere: {En: "the request did not pass {node}: connection tracking there has never seen it", Zh: "请求没有经过 {node}：那里的连接跟踪从未见过它"},
	PublishedAs:      {En: "{node} publishes {dst} as port {port}", Zh: "{node} 把 {dst} 发布为端口 {port}"},
	KeptApart: {
		En: "no fix is offered, as it would let what comes by {in} past the rule of {node} that keeps {to} apart from it: {table}/{chain} rule {rule}, {text}",
		Zh: "没有给出修复命令，因为那会让从 {in} 进来的数据包绕过 {node} 用来隔离 {to} 的规则：{table}/{chain} 第 {rule} 条，{text}",
	},
	NativeStands: {En: "{node}, nft chain {text}: it can drop this packet", Zh: "{node} 的 nft 链 {text}：它可能丢弃这个数据包"},
}

// course is what became of the packets, as evidence.
func (c *Case) course() []Fact {
	var facts []Fact
	if c.Request == nil {
		if c.Attempt.Err != "" {
			facts = append(facts, Fact{Kind: NothingSent, Values: Values{"from": c.Question.From, "err": c.Attempt.Err}, Step: -1})
		}
		return facts
	}
	for i, s := range c.Request.Steps {
		if s.Rule > 0 && i > 0 && s.Dst != c.Request.Steps[i-1].Dst {
			facts = append(facts, Fact{Kind: Rewritten, Walk: c.Request.ID, Step: i, Values: Values{
				"node": s.Node, "table": string(s.Table), "chain": s.Chain, "rule": strconv.Itoa(s.Rule), "dst": endpoint(s.Dst),
			}})
		}
	}
	facts = append(facts, endOf(RequestEnded, *c.Request))
	for _, w := range c.Refusals {
		facts = append(facts, Fact{Kind: RefusalCame, Walk: w.ID, Step: -1, Values: Values{"node": w.Steps[0].Node, "packet": w.Packet.Summary()}})
	}
	switch {
	case c.Reply != nil:
		facts = append(facts, endOf(ReplyEnded, *c.Reply))
	case c.Request.Outcome == trace.Delivered && len(c.Refusals) == 0:
		facts = append(facts, Fact{Kind: NoReplySeen, Walk: c.Request.ID, Step: -1, Values: Values{"node": c.Request.Steps[len(c.Request.Steps)-1].Node}})
	}
	return facts
}

// page is what an HTTP server answered with.
func (c *Case) page() []Fact {
	a := c.Attempt
	if a.Status == 0 {
		return nil
	}
	status := strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
	bytes := strconv.Itoa(a.Body)
	if a.Cut {
		bytes = "≥" + bytes
	}
	return []Fact{{Kind: PageCame, Step: -1, Values: Values{"status": status, "bytes": bytes}}}
}

// endOf is the end of a walk as a fact. The outcome is put into words by Text.
func endOf(kind FactKind, w trace.Walk) Fact {
	at := len(w.Steps) - 1
	if w.End >= 0 {
		at = w.End
	}
	s := w.Steps[at]
	v := Values{"outcome": string(w.Outcome), "node": s.Node, "place": string(s.Table) + "/" + s.Chain}
	switch {
	case s.Table == trace.ConntrackTable:
		v["place"] = s.Hook.String()
	case s.Rule > 0:
		v["rule"] = strconv.Itoa(s.Rule)
	}
	return Fact{Kind: kind, Walk: w.ID, Step: at, Values: v}
}

// ofRule is a rule's number behind its chain.
var ofRule = Words{En: " rule {rule}", Zh: " 规则 {rule}"}

// Text is the fact as a sentence without a full stop.
func (f Fact) Text(lang string) string {
	v := f.Values.in(lang)
	if reason := v["reason"]; reason != "" {
		v["meaning"] = meaning(reason, lang)
	}
	if v["place"] != "" && v["rule"] != "" {
		v["place"] += v.fill(ofRule.In(lang))
	}
	return v.fill(factWords[f.Kind].In(lang))
}

// fill puts the values into the braces of a text. What is in brackets and has no
// value is left out with them.
func (v Values) fill(text string) string {
	var pairs []string
	for name, value := range v {
		if value == "" {
			text = strings.NewReplacer(" ({"+name+"})", "", "（{"+name+"}）", "").Replace(text)
		}
		pairs = append(pairs, name, value)
	}
	return assets.Fill(text, pairs...)
}
