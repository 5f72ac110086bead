package why

import (
	"maps"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// Text is an answer's sentences in one language.
type Text struct {
	// Title says in one line what is wrong, or that all is well.
	Title string
	// Because explains it; empty where the target is reached.
	Because string
	// Opens says what the fix lets through beside; empty where there is no fix.
	Opens string
}

// reached is said of a target that was reached.
var reached = Words{En: "{target} is reached from {from}", Zh: "从 {from} 可以访问 {target}"}

// What the value "let" says that a fix lets pass.
const (
	letRequest = "request"
	letAnswer  = "answer"
	letPing    = "ping"
	letPong    = "pong"
	// ofAnybody stands behind one of them where the sender stands for all.
	ofAnybody = "-of-anybody"
)

// Whom a fix is for, as the values "whom", "also" and "for" say it.
const (
	forSender  = "sender"
	forAnybody = "anybody" // as the sender stood for all
)

// What the value "todo" says that is to be done with a port that is not published.
const (
	todoPublish = "publish"
	todoChoose  = "choose"
	todoStart   = "start"
	todoJoin    = "join"
	todoSecond  = "second-network"
	todoToo     = "publish-too"
	todoAsk     = "ask-otherwise"
)

// What the value "counts" says of two settings for one interface.
const (
	countsLarger     = "larger"
	countsOutweighed = "outweighed"
)

// phrases are parts of sentences, by the value that stands for them. Their braces
// are Values of the answer or the fact, too.
var phrases = map[string]map[string]Words{
	"outcome": {
		string(trace.Delivered):  {En: "delivered", Zh: "送达"},
		string(trace.Forwarded):  {En: "forwarded", Zh: "转发出去"},
		string(trace.Dropped):    {En: "dropped", Zh: "被丢弃"},
		string(trace.Rejected):   {En: "rejected", Zh: "被拒绝"},
		string(trace.Lost):       {En: "lost", Zh: "丢失"},
		string(trace.Unfinished): {En: "still on its way", Zh: "仍在途中"},
	},
	"part": {
		string(host.Links):       {En: "the interfaces", Zh: "网络接口"},
		string(host.Routes):      {En: "the routes", Zh: "路由"},
		string(host.Choices):     {En: "the policy routing rules", Zh: "策略路由规则"},
		string(host.Neighbors):   {En: "the neighbours", Zh: "邻居表"},
		string(host.Sockets):     {En: "the sockets", Zh: "套接字"},
		string(host.Sysctls):     {En: "the sysctls", Zh: "sysctl 设置"},
		string(host.Connections): {En: "the tracked connections", Zh: "连接跟踪表"},
		string(host.Native):      {En: "the native nft chains", Zh: "原生 nft 链"},
	},
	"let": {
		letRequest: {En: "{transport} from {sender} to {to} and its answers", Zh: "从 {sender} 到 {to} 的 {transport} 流量及其应答"},
		letAnswer:  {En: "answers from {sender} to {to}", Zh: "从 {sender} 到 {to} 的应答"},
		letPing:    {En: "pings from {sender} to {to} and their answers", Zh: "从 {sender} 到 {to} 的 ping 及其应答"},
		letPong:    {En: "answers to pings, from {sender} to {to},", Zh: "从 {sender} 到 {to} 的 ping 应答"},

		letRequest + ofAnybody: {En: "{transport} to {to}, from anywhere, and its answers", Zh: "从任何地方到 {to} 的 {transport} 流量及其应答"},
		letAnswer + ofAnybody:  {En: "answers from {sender}, to anywhere,", Zh: "从 {sender} 到任何地方的应答"},
		letPing + ofAnybody:    {En: "pings to {to}, from anywhere, and their answers", Zh: "从任何地方到 {to} 的 ping 及其应答"},
		letPong + ofAnybody:    {En: "answers to pings, from {sender} to anywhere,", Zh: "从 {sender} 到任何地方的 ping 应答"},
	},
	"whom": {
		forSender:  {En: "for this sender only; leave -s out for everybody", Zh: "但仅限这个发送方；去掉 -s 就对所有人有效"},
		forAnybody: {En: "for everybody", Zh: "对所有人有效"},
	},
	"also": {
		forSender:  {En: "for this sender as well", Zh: "也对这个发送方发布"},
		forAnybody: {En: "for everybody", Zh: "对所有人发布"},
	},
	"for": {
		forSender:  {En: "for {sender}", Zh: " {sender} 的"},
		forAnybody: {En: "for everybody", Zh: "所有发送方的"},
	},
	"counts": {
		countsLarger:     {En: "Of the settings for all and for {in} itself the larger value counts.", Zh: "all 与 {in} 自身的两个设置中，取较大的值。"},
		countsOutweighed: {En: "Of the settings for all and for {in} itself the larger value counts: 2 for {in} outweighs the 1 for all, there and nowhere else.", Zh: "all 与 {in} 自身的两个设置中，取较大的值：把 {in} 设为 2 就会盖过 all 的 1，而且只影响这个接口。"},
	},
	"todo": {
		todoPublish: {En: "{container} listens on {inside}: publish it with -p {map}.", Zh: "{container} 正在监听 {inside}：用 -p {map} 发布它。"},
		todoChoose:  {En: "Behind {node} these listen: {services}. Publish the one that is meant with -p {map}.", Zh: "{node} 后面有这些服务在监听：{services}。请用 -p {map} 发布所要的那一个。"},
		todoStart:   {En: "Nothing behind {node} was seen to listen for {proto}: start the server, and publish its port with -p {map}.", Zh: "没有看到 {node} 后面有程序监听 {proto}：请启动服务器，并用 -p {map} 发布它的端口。"},
		todoJoin:    {En: "{container} listens on {inside}, in a network that {node} keeps apart from {in}, so a published port does not lead there from {in} either. Connect one of the two to the other's network (docker network connect), and ask for {container}'s own address.", Zh: "{container} 正在监听 {inside}，但 {node} 把它所在的网络与 {in} 隔离，所以即使发布了端口，从 {in} 也到不了那里。请把其中一个接入另一个的网络（docker network connect），再直接访问 {container} 自己的地址。"},
		todoSecond:  {En: "{container} listens on {inside}, in a network that {node} keeps to itself. Give {container} a second network that is open (docker network connect), and publish the port with -p {map}.", Zh: "{container} 正在监听 {inside}，但 {node} 不让外面访问它所在的网络。请给 {container} 再接一个开放的网络（docker network connect），并用 -p {map} 发布端口。"},
		todoToo:     {En: "Ask for it over {other}, or publish it for {proto} as well, with -p {map}.", Zh: "请改用 {other} 访问，或者用 -p {map} 也为 {proto} 发布。"},
		todoAsk:     {En: "Nothing listens on {proto} {to} either: ask over {other}, or start a server there for {proto}, and publish it as well, with -p {map}.", Zh: "{proto} {to} 上也没有程序监听：请改用 {other} 访问，或者在那里启动 {proto} 的服务器，并用 -p {map} 发布它。"},
	},
}

// in puts the values that stand for phrases into words.
func (v Values) in(lang string) Values {
	out := maps.Clone(v)
	for name, of := range phrases {
		if w, ok := of[v[name]]; ok {
			out[name] = v.fill(w.In(lang))
		}
	}
	return out
}

// Text is the answer in a language.
func (a Answer) Text(lang string) Text {
	if a.Reachable {
		v := Values{"target": a.Question.Target.String(), "from": a.Question.From}
		return Text{Title: v.fill(reached.In(lang))}
	}
	entry := causeUnknown
	if i := slices.IndexFunc(causes, func(c Cause) bool { return c.Name == a.Cause }); i >= 0 {
		entry = causes[i]
	}
	whom := forSender
	if a.Question.StandIn {
		whom = forAnybody
	}
	v := Values{"whom": whom, "also": whom, "for": whom}
	maps.Copy(v, a.Values)
	v = v.in(lang)
	t := Text{Title: v.fill(entry.Title.In(lang)), Because: strings.TrimSpace(v.fill(entry.Because.In(lang)))}
	if len(a.Fix.Commands) > 0 {
		t.Opens = v.fill(entry.Opens.In(lang))
	}
	return t
}
