package why

import "packetwalk/trace/host"

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
		Name: "policy-route", Find: findPolicyRoute,
		Title:   Words{En: "A routing rule in {node} sends the packet to {to} the wrong way", Zh: "{node} 的一条策略路由规则把发往 {to} 的数据包引错了路"},
		Because: Words{En: "The rule {text} (ip-rule(8)) decides before the main table is asked, and what it leads to does not lead to {to}.", Zh: "规则 {text}（ip-rule(8)）先于主路由表生效，而它所指向的并不通往 {to}。"},
		Opens:   Words{En: "Only packets with these addresses are routed by the main table; the rule goes on to decide about all others.", Zh: "只有这两个地址之间的数据包改由主路由表决定；其余的仍由该规则决定。"},
	},
	{
		Name: "duplicate-route", Find: findDuplicateRoute,
		Title:   Words{En: "{node} has two routes for the network of {to}, and takes the wrong one", Zh: "{node} 有两条到 {to} 所在网络的路由，选中了错误的那一条"},
		Because: Words{En: "The kernel takes {text}, but {to} is behind {otherdev}: {better}.", Zh: "内核选择了 {text}，但 {to} 位于 {otherdev} 之后：{better}。"},
		Opens:   Words{En: "Only this one address is routed by {otherdev}. Two networks with the same addresses stay: one of them should be numbered anew.", Zh: "只有这一个地址改走 {otherdev}。两个网络地址重复的问题依旧存在：应当为其中之一重新编址。"},
	},
	{
		Name: "wrong-route", Find: findWrongRoute,
		Title:   Words{En: "A route in {node} leads elsewhere than to {to}", Zh: "{node} 的一条路由并不通往 {to}"},
		Because: Words{En: "The kernel takes {text}, as it is the more specific one or has the smaller metric; {to} is behind {otherdev}: {better}.", Zh: "内核选择了 {text}，因为它更具体或度量值更小；而 {to} 位于 {otherdev} 之后：{better}。"},
		Opens:   Words{En: "Only this one address is routed by {otherdev}; the route goes on to serve all others.", Zh: "只有这一个地址改走 {otherdev}；其余地址仍使用原来的路由。"},
	},
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
	{
		Name: "martian-destination", Find: findMartianDestination, Reasons: []string{"IP_LOCALNET", "IP_INVALID_DEST"},
		Title:   Words{En: "{node} takes no packet from outside for {to}: {text}", Zh: "{node} 不接受来自外部、发往 {to} 的数据包：{text}"},
		Because: Words{En: "A DNAT made the destination a loopback address. The kernel drops such packets that come in by {in} as martians, unless route_localnet is on.", Zh: "DNAT 把目的地址改成了环回地址。除非打开 route_localnet，内核会把从 {in} 进来的这类数据包当作“火星包”丢弃。"},
		Opens:   Words{En: "What listens on 127.0.0.0/8 only becomes reachable for everybody who can send to {in}, unless rules prevent that.", Zh: "只监听 127.0.0.0/8 的服务将对所有能向 {in} 发包的人开放，除非另有规则阻止。"},
	},
	{
		Name: "loopback-source", Find: findLoopbackSource,
		Title:   Words{En: "{node} sends no packet from {for} out of {out}: {text}", Zh: "{node} 不会把源地址为 {for} 的数据包从 {out} 发出：{text}"},
		Because: Words{En: "A DNAT in OUTPUT sends the packet to {to}, but its source is a loopback address, with which none may leave unless route_localnet is on.", Zh: "OUTPUT 中的 DNAT 把数据包转向 {to}，但它的源地址是环回地址；除非打开 route_localnet，这样的数据包不得离开本机。"},
		Opens:   Words{En: "Packets with loopback addresses may leave and come in by {out}. The source still has to be masqueraded for answers to come back.", Zh: "带环回地址的数据包可以经 {out} 进出。要让应答能够返回，还须对源地址做 MASQUERADE。"},
	},
	{
		Name: "martian-source", Find: findMartianSource, Reasons: []string{"IP_LOCAL_SOURCE", "IP_INVALID_SOURCE"},
		Title:   Words{En: "{at} takes no packet from outside with the source {for}", Zh: "{at} 不接受来自外部、源地址为 {for} 的数据包"},
		Because: Words{En: "{node} sent the packet on with a loopback address as its source, and {at} drops it as a martian: nothing in nat/POSTROUTING of {node} replaced it.", Zh: "{node} 转发时源地址仍是环回地址，{at} 将其当作“火星包”丢弃：{node} 的 nat/POSTROUTING 没有替换源地址。"},
		Opens:   Words{En: "{at} sees such requests come from the address of {node}.", Zh: "在 {at} 看来，这类请求来自 {node} 的地址。"},
	},
	{
		Name: "duplicate-address", Find: findDuplicateAddress, Reasons: []string{"IP_LOCAL_SOURCE"},
		Title:   Words{En: "{node} has the sender's address {for}, too", Zh: "{node} 也拥有发送方的地址 {for}"},
		Because: Words{En: "A packet that comes in by {in} with an address of {node} itself as its source is dropped; an answer would not leave {node} either. One of the two has to get another address.", Zh: "从 {in} 进来、源地址却是 {node} 自己地址的数据包会被丢弃；应答也不会离开 {node}。两者之一必须更换地址。"},
	},
	{
		Name: "link-down", Find: findLinkDown, Reasons: []string{"DEV_READY"},
		Title:   Words{En: "The interface {text} of {node} is down", Zh: "{node} 的接口 {text} 没有启用"},
		Because: Words{En: "Nothing passes an interface in the state {state}, and the routes over it are not used.", Zh: "状态为 {state} 的接口不传送任何数据包，经过它的路由也不会使用。"},
		Opens:   Words{En: "Everything that uses {text} works again, not only this request. Routes over it that were made by hand have to be made again.", Zh: "所有使用 {text} 的通信都会恢复，而不仅仅是这一个请求。经过它的手工路由需要重新添加。"},
	},
	{
		Name: "blackhole-route", Find: refusing(host.Blackhole),
		Title:   Words{En: "A blackhole route in {node} swallows packets to {to}", Zh: "{node} 的一条黑洞路由吞掉了发往 {to} 的数据包"},
		Because: Words{En: "The most specific route for {to} is {text}: such packets are discarded without a word.", Zh: "与 {to} 最匹配的路由是 {text}：这类数据包会被悄悄丢弃。"},
		Opens:   Words{En: "With a route of its own, only this address is let out of the blackhole; where there is no other way, the blackhole itself is deleted.", Zh: "若为该地址另立路由，则只有它不再落入黑洞；若没有别的路可走，则删除黑洞路由本身。"},
	},
	{
		Name: "unreachable-route", Find: refusing(host.Unreachable),
		Title:   Words{En: "An unreachable route in {node} refuses packets to {to}", Zh: "{node} 的一条 unreachable 路由拒绝了发往 {to} 的数据包"},
		Because: Words{En: "The most specific route for {to} is {text}: the sender is told that the host is unreachable.", Zh: "与 {to} 最匹配的路由是 {text}：发送方会被告知主机不可达。"},
		Opens:   Words{En: "With a route of its own, only this address becomes reachable; where there is no other way, the refusing route itself is deleted.", Zh: "若为该地址另立路由，则只有它变得可达；若没有别的路可走，则删除这条拒绝路由本身。"},
	},
	{
		Name: "prohibit-route", Find: refusing(host.Prohibit),
		Title:   Words{En: "A prohibit route in {node} refuses packets to {to}", Zh: "{node} 的一条 prohibit 路由禁止了发往 {to} 的数据包"},
		Because: Words{En: "The most specific route for {to} is {text}: the sender is told that communication is administratively prohibited.", Zh: "与 {to} 最匹配的路由是 {text}：发送方会被告知通信被管理性禁止。"},
		Opens:   Words{En: "With a route of its own, only this address is permitted; where there is no other way, the prohibiting route itself is deleted.", Zh: "若为该地址另立路由，则只有它被允许；若没有别的路可走，则删除这条禁止路由本身。"},
	},
	{
		Name: "no-route", Find: findNoRoute, Reasons: []string{"IP_INNOROUTES", "IP_OUTNOROUTES"},
		Title:   Words{En: "{node} has no route to {to}", Zh: "{node} 没有到 {to} 的路由"},
		Because: Words{En: "No route of {node} covers {to}, not even a default route.", Zh: "{node} 没有任何路由涵盖 {to}，连默认路由也没有。"},
		Opens:   Words{En: "{node} can send to this one address; a default route would open the way to all.", Zh: "{node} 只能向这一个地址发送；默认路由则会打开通往所有地址的路。"},
	},
	{
		Name: "no-return-route", Find: findNoReturnRoute, Reasons: []string{"IP_OUTNOROUTES", "IP_INNOROUTES"},
		Title:   Words{En: "{node} has no route back to {to}", Zh: "{node} 没有返回 {to} 的路由"},
		Because: Words{En: "The request arrived, but {node} cannot send an answer: none of its routes covers {to}.", Zh: "请求已经到达，但 {node} 无法发出应答：它没有任何路由涵盖 {to}。"},
		Opens:   Words{En: "{node} can send to this one address; a default route would open the way to all.", Zh: "{node} 只能向这一个地址发送；默认路由则会打开通往所有地址的路。"},
	},
	{
		Name: "forwarding-off", Find: findForwardingOff, Reasons: []string{"IP_INADDRERRORS", "IP_FORWARDING_DISABLED"},
		Title:   Words{En: "{node} does not forward packets: {text}", Zh: "{node} 不转发数据包：{text}"},
		Because: Words{En: "The packet came in by {in} for {to}, which is no address of {node} itself. It would have to go on by {out}, and is dropped.", Zh: "数据包从 {in} 进来，目的地 {to} 不是 {node} 自己的地址。它本应经 {out} 继续前行，却被丢弃了。"},
		Opens:   Words{En: "{node} becomes a router between all its interfaces, as far as the rules of FORWARD allow.", Zh: "{node} 将在其所有接口之间充当路由器，只受 FORWARD 规则的限制。"},
	},
	{
		Name: "reverse-path-filter", Find: findReversePathFilter, Reasons: []string{"IP_RPFILTER"},
		Title:   Words{En: "The reverse-path filter of {node} drops what comes from {for} by {in}", Zh: "{node} 的反向路径过滤丢弃了从 {in} 进来、源自 {for} 的数据包"},
		Because: Words{En: "With {text}, the kernel takes a packet only if it would send to its source by the same interface (1), or by any (2); the larger value of all and of the interface counts.", Zh: "{text} 时，内核只接受这样的数据包：发往其源地址的路由指向同一接口（1），或存在任意路由（2）；all 与该接口两者之中取较大值。"},
		Opens:   Words{En: "With 2, packets with any source for which there is a route are taken from {in}, forged ones included; with a route back the filter stays as it is.", Zh: "设为 2 后，只要源地址有路由，从 {in} 进来的数据包都会被接受，包括伪造的；若添加返回路由，则过滤保持不变。"},
	},
	{
		Name: "routing-loop", Find: findRoutingLoop, Reasons: []string{"IP_INHDR", "TTL_EXPIRED"},
		Title:   Words{En: "The packet to {to} goes round in a loop through {node}", Zh: "发往 {to} 的数据包经过 {node} 形成了路由环路"},
		Because: Words{En: "{node} sends it by {text}, and it comes back, until its TTL is used up.", Zh: "{node} 按 {text} 把它发出，它又会回来，直到 TTL 耗尽。"},
		Opens:   Words{En: "Only this one address gets a route of its own.", Zh: "只有这一个地址得到专门的路由。"},
	},
	{
		Name: "ttl-expired", Find: findTTLExpired, Reasons: []string{"IP_INHDR", "TTL_EXPIRED"},
		Title:   Words{En: "The packet's TTL is used up in {at}", Zh: "数据包的 TTL 在 {at} 耗尽"},
		Because: Words{En: "{text} gives the packet a TTL that is too small for its way, and a router drops what it would have to send on with 0.", Zh: "{text} 使数据包的 TTL 不足以走完全程；路由器会丢弃 TTL 减到 0 的数据包。"},
		Opens:   Words{En: "Everything that it applied to keeps a larger TTL, and so gets further.", Zh: "凡受其影响的数据包都会保持较大的 TTL，因而走得更远。"},
	},
	{
		Name: "mtu", Find: findMTU, Reasons: []string{"PKT_TOO_BIG"},
		Title:   Words{En: "Packets of {length} bytes do not fit into {dev} of {small} (MTU {mtu}), and their sender does not learn that", Zh: "{length} 字节的数据包放不进 {small} 的 {dev}（MTU {mtu}），而发送方对此一无所知"},
		Because: Words{En: "Small packets get through, so the connection comes about, and then the data stalls. The ICMP error with which path MTU discovery works does not reach the sender: see {text} in {node}.", Zh: "小数据包能够通过，所以连接得以建立，随后数据停滞。路径 MTU 发现所依赖的 ICMP 错误没有到达发送方：见 {node} 的 {text}。"},
		Opens:   Words{En: "An exception for the ICMP error lets every such error pass; a larger MTU is for everything that uses the interface. Where the link cannot be made larger, clamp the MSS (TCPMSS --clamp-mss-to-pmtu).", Zh: "为该 ICMP 错误开的例外会放行所有此类错误；更大的 MTU 对使用该接口的一切通信生效。若链路无法增大，可钳制 MSS（TCPMSS --clamp-mss-to-pmtu）。"},
	},
	{
		Name: "hairpin-off", Find: findHairpinOff,
		Title:   Words{En: "The bridge {bridge} of {node} sends nothing back out of {text}: hairpin mode is off", Zh: "{node} 的网桥 {bridge} 不会把数据帧从 {text} 送回：hairpin 模式已关闭"},
		Because: Words{En: "Bridge netfilter applied the DNAT while the frame was on the bridge, so that its destination {to} is behind the port by which it came.", Zh: "网桥 netfilter 在数据帧经过网桥时应用了 DNAT，于是目的地 {to} 就在它进来的那个端口之后。"},
		Opens:   Words{En: "Broadcasts that come from behind this port are sent back to it as well.", Zh: "来自该端口的广播也会被送回该端口。"},
	},
	{
		Name: "bridge-detached", Find: findBridgeDetached,
		Title:   Words{En: "{text} in {node} is not attached to the bridge {bridge}", Zh: "{node} 的 {text} 没有接到网桥 {bridge} 上"},
		Because: Words{En: "{otherdev} of {other} is the other end of {text}. Its network is that of {bridge}, but nothing connects the two.", Zh: "{text} 的另一端是 {other} 的 {otherdev}。它属于 {bridge} 的网络，但两者之间没有连接。"},
		Opens:   Words{En: "{other} gets connected with everything on {bridge}.", Zh: "{other} 将与 {bridge} 上的一切相连。"},
	},
	{
		Name: "port-isolated", Find: findPortIsolated, Reasons: []string{"BRIDGE_ISOLATED"},
		Title:   Words{En: "The ports {other} and {text} of the bridge {bridge} in {node} are isolated from each other", Zh: "{node} 网桥 {bridge} 的端口 {other} 与 {text} 相互隔离"},
		Because: Words{En: "A bridge delivers nothing between two isolated ports, only between an isolated one and the others.", Zh: "网桥不在两个隔离端口之间传送任何数据帧，只在隔离端口与其他端口之间传送。"},
		Opens:   Words{En: "{text} can speak with all isolated ports, not only with {other}.", Zh: "{text} 可以与所有隔离端口通信，而不仅仅是 {other}。"},
	},
	{
		Name: "port-blocked", Find: findPortBlocked, Reasons: []string{"BRIDGE_INGRESS_STP_STATE", "BRIDGE_NON_FORWARDING_STATE"},
		Title:   Words{En: "The port {text} of the bridge {bridge} in {node} does not forward: it is {state}", Zh: "{node} 网桥 {bridge} 的端口 {text} 不转发：状态为 {state}"},
		Because: Words{En: "A bridge takes no data from a port in this state and sends none to it. Somebody, or the spanning tree protocol, put it there.", Zh: "处于该状态的端口既不收也不发数据帧。这是人为设置，或由生成树协议决定的。"},
		Opens:   Words{En: "If the port was blocked to break a loop of bridges, the loop is back.", Zh: "如果阻塞该端口是为了断开网桥环路，环路将会重现。"},
	},
	{
		Name: "wrong-neighbor", Find: findWrongNeighbor,
		Title:   Words{En: "{node} sends packets for {hop} to the wrong hardware address", Zh: "{node} 把发往 {hop} 的数据包送到了错误的硬件地址"},
		Because: Words{En: "Its neighbour table says {text}, but {owner}, which has the address, is {ownermac}.", Zh: "它的邻居表记着 {text}，而拥有该地址的 {owner} 的硬件地址是 {ownermac}。"},
		Opens:   Words{En: "The kernel asks for the hardware address again, and believes whoever answers.", Zh: "内核会重新查询硬件地址，并相信任何应答者。"},
	},
	{
		Name: "dnat-target-gone", Find: findTargetGone, Reasons: []string{"NEIGH_FAILED"},
		Title:   Words{En: "The DNAT in {node} leads to {to}, which nobody has", Zh: "{node} 的 DNAT 指向 {to}，而没有谁拥有该地址"},
		Because: Words{En: "{text} sends the packet to an address that does not answer any more: the container behind it is gone, or has another address now.", Zh: "{text} 把数据包送往一个不再应答的地址：其后的容器已经不在，或者换了地址。"},
		Opens:   Words{En: "Everything that the rule matches goes to {now} instead, the only one in this network where the port is listened on.", Zh: "凡匹配该规则的数据包都改送 {now}，即该网络中唯一监听此端口的地址。"},
	},
	{
		Name: "neighbor-silent", Find: findNeighborSilent, Reasons: []string{"NEIGH_FAILED", "NEIGH_QUEUEFULL"},
		Title:   Words{En: "{hop} does not answer on {dev} of {node}", Zh: "{hop} 在 {node} 的 {dev} 上没有应答"},
		Because: Words{En: "{node} asked for the hardware address of {hop}, to which it has to hand the packet, and nobody told it: the address is wrong, or its owner is off or not on this link.", Zh: "{node} 必须把数据包交给 {hop}，却没有谁回答它的硬件地址查询：地址有误，或其主人已关机或不在此链路上。"},
		Opens:   Words{En: "Only this one address is reached over the other gateway.", Zh: "只有这一个地址改经另一个网关到达。"},
	},
}
