package why

// Cause is a reason why a target is not reached: one entry of the list below,
// with a test lab of the same name in testdata/causes.
type Cause struct {
	Name Name
	// Find says whether this is the cause, nil if not. The causes are tried in
	// their order, so a finder may take for granted that none before it fits.
	Find func(*Case) *Finding
	// Reasons are the kernel's names for such a drop (SKB_DROP_REASON_…), none
	// where the kernel drops nothing.
	Reasons []string
	// Title names what is wrong in one line, Because explains it, and Opens says
	// what the fix lets through, or what else it changes. Their braces are the
	// Values of the answer.
	Title, Because, Opens Words
}

// Words is a text in every language.
type Words struct{ En, Zh string }

// In is the text in a language, English where there is no other.
func (w Words) In(lang string) string {
	if lang == "zh" && w.Zh != "" {
		return w.Zh
	}
	return w.En
}

// Causes lists every cause, in the order in which they are tried.
func Causes() []Cause { return causes }

// causeUnknown is where nothing fits.
var causeUnknown = Cause{
	Name:    Unknown,
	Title:   Words{En: "It is not known why {target} is not reached", Zh: "无法判断 {target} 为何不可达"},
	Because: Words{En: "What was seen does not suffice to name one thing to blame.", Zh: "所见到的证据不足以指出唯一的原因。"},
}

var causes = []Cause{
	{
		Name: "drop-rule", Find: findDropRule, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "A rule in {node} drops the packet: {table}/{chain} rule {rule}", Zh: "{node} 的一条规则丢弃了数据包：{table}/{chain} 第 {rule} 条"},
		Because: Words{En: "The packet to {target} matched this rule, and DROP discards it without a word to the sender.", Zh: "发往 {target} 的数据包匹配了这条规则；DROP 会把它悄悄丢弃，发送方得不到任何消息。"},
		Opens:   Words{En: "Without the rule, everything that it matched goes on to the rules behind it, not only this request.", Zh: "删除之后，凡是匹配这条规则的数据包都会继续走到后面的规则，而不仅仅是这一个请求。"},
	},
	{
		Name: "nothing-listens", Find: findNothingListens,
		Title:   Words{En: "Nothing listens on {dst} in {at}", Zh: "{at} 中没有程序监听 {dst}"},
		Because: Words{En: "The request arrived, and the kernel of {at} refused it, since no socket takes it in.", Zh: "请求已经到达，但 {at} 中没有套接字接收它，于是内核拒绝了它。"},
	},
}
