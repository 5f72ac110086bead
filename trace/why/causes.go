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
	// Routing that leads elsewhere, also because an interface is down: what stops
	// the packet there is not to blame.
	{
		Name: "link-down", Find: findLinkDown, Reasons: []string{"NEIGH_FAILED", "IP_INNOROUTES", "NETFILTER_DROP"},
		Title:   Words{En: "The interface {text} of {node} is down ({state})", Zh: "{node} 的接口 {text} 处于断开状态（{state}）"},
		Because: Words{En: "Nothing passes an interface in the state {state}.", Zh: "状态为 {state} 的接口不传送任何数据包。"},
		Opens:   Words{En: "Everything that uses {text} works again, not only this request. Routes over it that were made by hand have to be made again.", Zh: "所有使用 {text} 的通信都会恢复，而不仅仅是这一个请求。经过它的手工路由需要重新添加。"},
	},
	{
		Name: "policy-route", Find: findPolicyRoute, Reasons: []string{"NETFILTER_DROP", "NEIGH_FAILED", "IP_INNOROUTES", "IP_INADDRERRORS", "IP_RPFILTER", "IP_INHDR"},
		Title:   Words{En: "A routing rule in {node} sends the packet to {to} the wrong way", Zh: "{node} 的一条策略路由规则把发往 {to} 的数据包引错了路"},
		Because: Words{En: "The rule {text} (ip-rule(8)) decides before the main table is asked, and what it leads to does not lead to {to}.", Zh: "规则 {text}（ip-rule(8)）先于主路由表生效，而它所指向的并不通往 {to}。"},
		Opens:   Words{En: "With a rule in front of it, only packets with these addresses are routed by the main table, and the rule goes on to decide about all others. Where no other way is known the rule itself is deleted, for everybody.", Zh: "若在它前面另加一条规则，则只有这两个地址之间的数据包改由主路由表决定，其余的仍由该规则决定。若不知道别的路，则删除该规则本身，影响所有流量。"},
	},
	{
		Name: "duplicate-route", Find: findDuplicateRoute, Reasons: []string{"NETFILTER_DROP", "NEIGH_FAILED"},
		Title:   Words{En: "{node} has two routes for the network of {to}, and takes the wrong one", Zh: "{node} 有两条到 {to} 所在网络的路由，选中了错误的那一条"},
		Because: Words{En: "The kernel takes {text}, but {to} is behind {otherdev}: {better}.", Zh: "内核选择了 {text}，但 {to} 位于 {otherdev} 之后：{better}。"},
		Opens:   Words{En: "Only this one address is routed by {otherdev}. Two networks with the same addresses stay: one of them should be numbered anew.", Zh: "只有这一个地址改走 {otherdev}。两个网络地址重复的问题依旧存在：应当为其中之一重新编址。"},
	},
	{
		Name: "wrong-route", Find: findWrongRoute, Reasons: []string{"NETFILTER_DROP", "NEIGH_FAILED", "IP_INNOROUTES", "IP_INADDRERRORS", "IP_RPFILTER"},
		Title:   Words{En: "A route in {node} leads elsewhere than to {to}", Zh: "{node} 的一条路由并不通往 {to}"},
		Because: Words{En: "The kernel takes {text}, as it is the more specific one or has the smaller metric; {to} is behind {otherdev}: {better}.", Zh: "内核选择了 {text}，因为它更具体或度量值更小；而 {to} 位于 {otherdev} 之后：{better}。"},
		Opens:   Words{En: "Only this one address is routed by {otherdev}; the route goes on to serve all others.", Zh: "只有这一个地址改走 {otherdev}；其余地址仍使用原来的路由。"},
	},

	// Rules, NAT and sockets.
	{
		Name: "other-variant", Find: findOtherVariant, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "What {own} does not show stops the packet in {node}: {variant}, {table}/{chain}, {text}", Zh: "{node} 的 {variant} 拦下了数据包，而 {own} 看不到它：{table}/{chain}，{text}"},
		Because: Words{En: "{node} has rules in both implementations of iptables, and a packet has to pass both. Its own iptables command is {own}; this stands in {variant}.", Zh: "{node} 在 iptables 的两种实现中都有规则，数据包必须两边都通过。它自己的 iptables 命令是 {own}，而这条在 {variant} 里。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "stale-connection", Find: findStaleConnection, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET", "NEIGH_FAILED"},
		Title:   Words{En: "An old connection in {node} sends the packet to {goes}, not to {should}", Zh: "{node} 中一条旧的连接记录把数据包送往 {goes}，而不是 {should}"},
		Because: Words{En: "The nat table is asked for a connection's first packet only. The sender uses port {sport} again, so to connection tracking this is the old connection, translated as the rules were when it began; as they are now, the packet would go to {should}.", Zh: "nat 表只在连接的第一个数据包时被查询。发送方再次使用端口 {sport}，所以连接跟踪认为这仍是旧连接，沿用它开始时的地址转换；按现在的规则，数据包应该送往 {should}。"},
		Opens:   Words{En: "The entry is forgotten; the next packet is translated as the rules are now. Whoever uses the old connection loses it.", Zh: "这条记录会被删除，下一个数据包按现在的规则转换。仍在使用旧连接的一方会失去它。"},
	},
	{
		Name: "notrack", Find: findNotrack, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "A rule in {node} takes the packet out of connection tracking: {table}/{chain} rule {rule}", Zh: "{node} 的一条规则让数据包绕过了连接跟踪：{table}/{chain} 第 {rule} 条"},
		Because: Words{En: "Without connection tracking there is no NAT, in either direction, and no answer counts as ESTABLISHED: {text}.", Zh: "没有连接跟踪，两个方向上都不会有 NAT，应答也不会被认作 ESTABLISHED：{text}。"},
		Opens:   Words{En: "Only this service is tracked again, {for}; every connection takes a place in the table of connection tracking.", Zh: "只有{for}这项服务重新被跟踪；每个连接会在连接跟踪表中占一个位置。"},
	},
	{
		Name: "hairpin", Find: findHairpin, Reasons: []string{"IP_LOCAL_SOURCE", "NO_SOCKET"},
		Title:   Words{En: "{node} sends {from}'s request back into the network that it came from, with its source unchanged", Zh: "{node} 把 {from} 的请求转回了它来自的网络，却没有转换源地址"},
		Because: Words{En: "{sender} and {to} are on one network. A neighbour answers {sender} directly, past {node}, from an address that {sender} did not contact; a container that reaches itself drops the packet, since its source is its own address. A MASQUERADE rule makes the answer go through {node}.", Zh: "{sender} 与 {to} 在同一个网络里。若是邻居，它会绕过 {node} 直接应答，而 {sender} 并未访问过那个地址；若是容器访问自身，源地址就是它自己的地址，数据包会被丢弃。MASQUERADE 规则可以让应答经过 {node}。"},
		Opens:   Words{En: "For requests from {sender} to {to} the server sees {node} as the sender. Docker does the same for a container that asks itself; for all of a network, give its prefix in the place of the addresses.", Zh: "对于从 {sender} 到 {to} 的请求，服务器看到的发送方会是 {node}。Docker 对容器访问自身的情况也是这样做的；要用于整个网络，把地址换成网段即可。"},
	},
	{
		Name: "invalid-drop", Find: findInvalidDrop, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "A rule in {node} drops the packet as INVALID: {table}/{chain} rule {rule}", Zh: "{node} 的一条规则把数据包当作 INVALID 丢弃：{table}/{chain} 第 {rule} 条"},
		Because: Words{En: "To connection tracking in {node} the packet belongs to no connection: it has not seen what came before, since that took another way or was not tracked.", Zh: "在 {node} 的连接跟踪看来，这个数据包不属于任何连接：之前的数据包走了别的路径，或者没有被跟踪。"},
		Opens:   Words{En: "What {node} has not seen the beginning of may pass, but only {let}. Better, where it is possible: send both directions by the same way.", Zh: "放行 {node} 没有见过开头的连接，但仅限{let}。如果可能，更好的办法是让两个方向走同一条路径。"},
	},
	{
		Name: "reply-dropped", Find: findReplyDropped, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "The request arrived; its answer was stopped in {node}: {table}/{chain}, {text}", Zh: "请求已经到达，但应答在 {node} 被拦下：{table}/{chain}，{text}"},
		Because: Words{En: "The server got the request and answered. On its way back, from {sender} to {to}, the answer met this: a service needs a way for its answers as well, most often one rule for ESTABLISHED.", Zh: "服务器收到了请求并作出应答。应答在从 {sender} 返回 {to} 的途中遇到了它：服务也需要为应答留出通路，通常用一条针对 ESTABLISHED 的规则。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "internal-network", Find: findInternalNetwork, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "Docker's network is internal: {table}/{chain} rule {rule} in {node} drops the packet", Zh: "这个 Docker 网络是内部网络：{node} 的 {table}/{chain} 第 {rule} 条丢弃了数据包"},
		Because: Words{En: "The network was made with --internal: nothing comes in from elsewhere, and nothing goes out.", Zh: "该网络创建时带有 --internal：外面的数据包进不来，里面的也出不去。"},
		Opens:   Words{En: "Only {let} may pass. Docker's own way is a second network for the container: docker network connect.", Zh: "只放行{let}。Docker 推荐的做法是给容器再接一个网络：docker network connect。"},
	},
	{
		Name: "bridge-isolation", Find: findBridgeIsolation, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "Docker keeps its networks apart: {table}/{chain} rule {rule} in {node} drops the packet from {in}", Zh: "Docker 隔离了它的各个网络：{node} 的 {table}/{chain} 第 {rule} 条丢弃了来自 {in} 的数据包"},
		Because: Words{En: "Containers of different networks do not reach each other: this rule stops what comes from one bridge and is meant for another.", Zh: "不同网络中的容器互相不可达：这条规则拦下从一个网桥去往另一个网桥的数据包。"},
		Opens:   Words{En: "Only {let} may pass, past Docker's isolation. Docker's own way is to connect one of the containers to the network of the other: docker network connect.", Zh: "只放行{let}，绕过 Docker 的隔离。Docker 推荐的做法是把其中一个容器接入另一个网络：docker network connect。"},
	},
	{
		Name: "direct-access", Find: findDirectAccess, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "Docker lets nobody from outside reach a container's own address: {table}/{chain} rule {rule} in {node}", Zh: "Docker 不允许外部直接访问容器自己的地址：{node} 的 {table}/{chain} 第 {rule} 条"},
		Because: Words{En: "Since version 28 Docker drops what comes to a container's address from anywhere but its own bridge. The service is meant to be reached through a published port of {node}.", Zh: "从 28 版起，Docker 会丢弃从自身网桥以外直接发往容器地址的数据包。这项服务应当通过 {node} 上发布的端口访问。"},
		Opens:   Words{En: "Only {let} may pass. Docker's own way is to ask for the published port, or a network with the gateway mode nat-unprotected or routed.", Zh: "只放行{let}。Docker 推荐的做法是访问发布的端口，或者使用网关模式为 nat-unprotected 或 routed 的网络。"},
	},
	{
		Name: "wrong-container-port", Find: findWrongContainerPort, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "The port leads to {dst}, where nothing listens; {at} listens on {ports}", Zh: "该端口转到 {dst}，那里没有程序监听；{at} 监听的是 {ports}"},
		Because: Words{En: "The rule in {node} sends the request on to {dst}: {text}. The number behind the colon must be the one that the server listens on in the container.", Zh: "{node} 的规则把请求转发到 {dst}：{text}。冒号后面的端口必须是服务器在容器内监听的端口。"},
		Opens:   Words{En: "The published port leads to another port of the same container, for everybody. Docker writes its rules anew: create the container anew with the right number behind the colon of -p.", Zh: "发布的端口对所有人都会转到同一容器的另一个端口。Docker 会重写它的规则：请在 -p 的冒号后面写上正确的端口，重新创建容器。"},
	},
	{
		Name: "published-other-protocol", Find: findPublishedOtherProtocol, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "Port {port} of {node} is published for {other}, not for {proto}", Zh: "{node} 的端口 {port} 是为 {other} 发布的，而不是 {proto}"},
		Because: Words{En: "The rule that would send the request on is for another protocol: {text}. {todo}", Zh: "本应转发请求的规则针对的是另一种协议：{text}。{todo}"},
		Opens:   Words{En: "The port is published for {proto} as well, {whom}. With Docker: publish with -p …/{proto}.", Zh: "该端口也为 {proto} 发布，{whom}。在 Docker 中：用 -p …/{proto} 发布。"},
	},
	{
		Name: "published-other-address", Find: findPublishedOtherAddress, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "Port {port} of {node} is published on {published} only", Zh: "{node} 的端口 {port} 只发布在 {published} 上"},
		Because: Words{En: "The request is for {addr}, and the rule that would send it on is for another address: {text}.", Zh: "请求的目的地址是 {addr}，而本应转发它的规则只针对另一个地址：{text}。"},
		Opens:   Words{En: "The port is published on {addr} as well, {whom}. With Docker: publish without an address in front of the port.", Zh: "该端口也在 {addr} 上发布，{whom}。在 Docker 中：发布时不要在端口前写地址。"},
	},
	{
		Name: "nat-passed-over", Find: findNatPassedOver, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "The rule that publishes port {port} of {node} is not for this packet: {match}", Zh: "发布 {node} 端口 {port} 的规则不适用于这个数据包：{match}"},
		Because: Words{En: "{table}/{chain} rule {rule} would have sent the request on, but asks for {match}, which the packet has not ({have}): {text}.", Zh: "{table}/{chain} 第 {rule} 条本应转发请求，但它要求 {match}，而数据包不符（{have}）：{text}。"},
		Opens:   Words{En: "The port is published {also}, past what the rule asks for.", Zh: "该端口{also}，不再受这条规则的条件限制。"},
	},
	{
		Name: "nat-not-reached", Find: findNatNotReached, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "{table}/{chain} rule {rule} in {node} keeps the packet from the rule that publishes port {port}", Zh: "{node} 的 {table}/{chain} 第 {rule} 条使数据包到不了发布端口 {port} 的规则"},
		Because: Words{En: "A rule for the port is there and would match, but this one decides before it whether it is asked at all: {text}.", Zh: "有一条针对该端口且能匹配的规则，但是否会查询到它，由排在前面的这条规则决定：{text}。"},
		Opens:   Words{En: "The port is published {also}, in front of the rule that keeps others away from it.", Zh: "该端口{also}，排在这条把其他流量挡开的规则之前。"},
	},
	{
		Name: "not-published", Find: findNotPublished, Reasons: []string{"NETFILTER_DROP", "NO_SOCKET"},
		Title:   Words{En: "{node} does not publish port {port}, and nothing listens on it there", Zh: "{node} 没有发布端口 {port}，本机也没有程序监听它"},
		Because: Words{En: "No rule in the nat table of {node} sends {proto} port {port} on to a container, so the request was for {node} itself. {todo}", Zh: "{node} 的 nat 表中没有规则把 {proto} 端口 {port} 转给容器，所以请求就落到了 {node} 自己身上。{todo}"},
		Opens:   Words{En: "The port is published {whom}. With Docker: create the container anew with -p.", Zh: "该端口会发布，{whom}。在 Docker 中：用 -p 重新创建容器。"},
	},
	{
		Name: "output-drop", Find: findOutputDrop, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "The sender's own {table}/{chain} in {node} drops the packet: {text}", Zh: "发送方 {node} 自己的 {table}/{chain} 丢弃了数据包：{text}"},
		Because: Words{En: "The packet never left {node}. A program that sends a datagram or a ping is told so (EPERM); one that connects by TCP waits.", Zh: "数据包根本没有离开 {node}。发送数据报或 ping 的程序会得到 EPERM；用 TCP 连接的程序则一直等待。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "containers-apart", Find: findContainersApart, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "Containers on {in} are kept apart: {table}/{chain} rule {rule} in {node} stops the packet", Zh: "{in} 上的容器被互相隔离：{node} 的 {table}/{chain} 第 {rule} 条拦下了数据包"},
		Because: Words{En: "The rule is for whatever crosses this bridge, as Docker writes it for a network with com.docker.network.bridge.enable_icc=false; bridge netfilter shows such packets to iptables.", Zh: "这条规则针对穿过该网桥的所有数据包，与 Docker 为 com.docker.network.bridge.enable_icc=false 的网络所写的一样；网桥的 netfilter 会把这些数据包交给 iptables。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "bridge-netfilter", Find: findBridgeNetfilter, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "A packet that only crosses the bridge {in} of {node} is stopped in {table}/{chain}: {text}", Zh: "只是穿过 {node} 的网桥 {in} 的数据包，在 {table}/{chain} 被拦下：{text}"},
		Because: Words{En: "From {physin} to {physout} the packet stays on one network and is not routed. It comes to iptables all the same, since {sysctl} is 1.", Zh: "从 {physin} 到 {physout}，数据包没有离开同一个网络，也没有经过路由；但因为 {sysctl} 为 1，它仍然会经过 iptables。"},
		Opens:   Words{En: "Only {let} may pass. For everything that crosses a bridge of {node}: sysctl -w {sysctl}=0, after which rules such as those between networks no longer see it.", Zh: "只放行{let}。要放行穿过 {node} 网桥的全部流量：sysctl -w {sysctl}=0，此后规则便看不到这些数据包。"},
	},
	{
		Name: "input-drop", Find: findInputDrop, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "{node} itself does not let the packet in: {table}/{chain}, {text}", Zh: "{node} 自己不让数据包进来：{table}/{chain}，{text}"},
		Because: Words{En: "The packet is for {node} itself, not for a container behind it, so it goes through INPUT, and not through FORWARD.", Zh: "数据包的目的地就是 {node} 自己，而不是它后面的容器，所以走的是 INPUT 而不是 FORWARD。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "reject-rule", Find: findRejectRule, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "A rule in {node} rejects the packet: {table}/{chain} rule {rule}", Zh: "{node} 的一条规则拒绝了数据包：{table}/{chain} 第 {rule} 条"},
		Because: Words{En: "The packet to {target} matched this rule, and REJECT answers the sender with {with}.", Zh: "发往 {target} 的数据包匹配了这条规则；REJECT 用 {with} 回应发送方。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "drop-rule", Find: findDropRule, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "A rule in {node} drops the packet: {table}/{chain} rule {rule}", Zh: "{node} 的一条规则丢弃了数据包：{table}/{chain} 第 {rule} 条"},
		Because: Words{En: "The packet to {target} matched this rule, and DROP discards it without a word to the sender.", Zh: "发往 {target} 的数据包匹配了这条规则；DROP 会把它悄悄丢弃，发送方得不到任何消息。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "policy-drop", Find: findPolicyDrop, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "No rule of {table}/{chain} in {node} lets the packet through, and the chain's policy is {verdict}", Zh: "{node} 的 {table}/{chain} 中没有规则放行数据包，而这条链的默认策略是 {verdict}"},
		Because: Words{En: "The packet came to the end of the chain without matching a rule that accepts it.", Zh: "数据包走到链的末尾，没有匹配任何放行它的规则。"},
		Opens:   Words{En: "Only {let} may pass. To let everything through that this stopped: {wider}.", Zh: "只放行{let}。如果要放行此处拦下的全部流量：{wider}。"},
	},
	{
		Name: "loopback-only", Find: findLoopbackOnly, Reasons: []string{"NO_SOCKET"},
		Title:   Words{En: "The server in {at} listens on {bound} only", Zh: "{at} 中的服务器只监听 {bound}"},
		Because: Words{En: "{socket} takes connections from {at} itself, and none from outside, not even from its host. Have the server ({process}) listen on 0.0.0.0 (or [::]) or on {dst}.", Zh: "{socket} 只接受来自 {at} 自身的连接，外面的（包括它的宿主机）都不行。请让服务器（{process}）监听 0.0.0.0（或 [::]），或者 {dst}。"},
	},
	{
		Name: "other-address", Find: findOtherAddress, Reasons: []string{"NO_SOCKET"},
		Title:   Words{En: "The server in {at} is bound to {text}, and the request is for {dst}", Zh: "{at} 中的服务器绑定在 {text} 上，而请求发往 {dst}"},
		Because: Words{En: "A socket that is bound to one address or interface takes nothing that comes to another. Have the server ({process}) listen on 0.0.0.0 (or [::]) or on {dst}.", Zh: "绑定到某个地址或接口的套接字，不会接收发往别处的数据包。请让服务器（{process}）监听 0.0.0.0（或 [::]），或者 {dst}。"},
	},
	{
		Name: "other-family", Find: findOtherFamily, Reasons: []string{"NO_SOCKET"},
		Title:   Words{En: "The server in {at} listens on {socket} only: the other address family", Zh: "{at} 中的服务器只监听 {socket}：那是另一个地址族"},
		Because: Words{En: "The request came for {dst}. IPv4 and IPv6 are two addresses to a server: have it ({process}) listen on both, or ask by the other.", Zh: "请求发往 {dst}。对服务器来说 IPv4 和 IPv6 是两个不同的地址：请让它（{process}）同时监听两者，或者改用另一个地址族访问。"},
	},
	{
		Name: "backlog-full", Find: findBacklogFull, Reasons: []string{"TCP_LISTEN_OVERFLOW", "SOCKET_BACKLOG"},
		Title:   Words{En: "The server on {dst} in {at} accepts no connections: {queued} wait, and no more than {limit} may", Zh: "{at} 中 {dst} 上的服务器不再接受连接：已有 {queued} 个在等待，上限是 {limit}"},
		Because: Words{En: "The socket is there, but its program ({process}) does not take connections off the queue, so the kernel discards further requests. The program hangs or is too slow.", Zh: "套接字在，但它的程序（{process}）没有从队列中取走连接，于是内核丢弃后来的请求。程序卡住了，或者太慢。"},
	},
	{
		Name: "nothing-listens", Find: findNothingListens, Reasons: []string{"NO_SOCKET"},
		Title:   Words{En: "Nothing listens on {dst} in {at}", Zh: "{at} 中没有程序监听 {dst}"},
		Because: Words{En: "The request arrived, and the kernel of {at} refused it, since no socket takes it in. Start the server, or ask for the port that it listens on.", Zh: "请求已经到达，但 {at} 中没有套接字接收它，于是内核拒绝了它。请启动服务器，或者改用它监听的端口。"},
	},
	{
		Name: "ping-ignored", Find: findPingIgnored,
		Title:   Words{En: "{node} is set to answer no ping", Zh: "{node} 被设置为不应答 ping"},
		Because: Words{En: "The echo request arrived, and {text}.", Zh: "回显请求已经到达，但 {text}。"},
		Opens:   Words{En: "{node} answers every ping again.", Zh: "{node} 会重新应答所有 ping。"},
	},
	{
		Name: "conntrack-full", Find: findConntrackFull, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "The connection tracking table of {node} is full: {count} of {most}", Zh: "{node} 的连接跟踪表已满：{count} / {most}"},
		Because: Words{En: "A packet that would open a connection finds no room in the table and is dropped, behind raw and in front of mangle. Connections that are known go on.", Zh: "想要建立新连接的数据包在表中找不到位置，于是在 raw 之后、mangle 之前被丢弃。已有的连接不受影响。"},
		Opens:   Words{En: "The table may grow, and takes memory for it (some 300 bytes a connection). Look for who opens so many: conntrack -L.", Zh: "表可以继续增长，并为此占用内存（每个连接约 300 字节）。请查一查是谁打开了这么多连接：conntrack -L。"},
	},

	// What stops a packet outside of iptables.
	{
		Name: "martian-destination", Find: findMartianDestination, Reasons: []string{"IP_LOCALNET", "IP_INVALID_DEST"},
		Title:   Words{En: "{node} takes no packet from outside for {to}: {text}", Zh: "{node} 不接受来自外部、发往 {to} 的数据包：{text}"},
		Because: Words{En: "A DNAT made the destination a loopback address. The kernel drops such packets that come in by {in} as martians, unless route_localnet is on.", Zh: "DNAT 把目的地址改成了环回地址。除非打开 route_localnet，内核会把从 {in} 进来的这类数据包当作 martian 包（非法源/目的地址）丢弃。"},
		Opens:   Words{En: "What listens on 127.0.0.0/8 only becomes reachable for everybody who can send to {in}, unless rules prevent that.", Zh: "只监听 127.0.0.0/8 的服务将对所有能向 {in} 发包的人开放，除非另有规则阻止。"},
	},
	{
		Name: "loopback-source", Find: findLoopbackSource,
		Title:   Words{En: "{node} sends no packet from {for} out of {out}: {text}", Zh: "{node} 不会把源地址为 {for} 的数据包从 {out} 发出：{text}"},
		Because: Words{En: "A DNAT in OUTPUT sends the packet to {to}, but its source is a loopback address, with which none may leave unless route_localnet is on.", Zh: "OUTPUT 中的 DNAT 把数据包转向 {to}，但它的源地址是环回地址；除非打开 route_localnet，这样的数据包不得离开本机。"},
		Opens:   Words{En: "Packets with loopback addresses may leave and come in by {out}. The source still has to be masqueraded for answers to come back.", Zh: "带环回地址的数据包可以经 {out} 进出。要让应答能够返回，还须对源地址做 MASQUERADE。"},
	},
	{
		Name: "martian-source", Find: findMartianSource, Reasons: []string{"IP_INVALID_SOURCE", "NEIGH_FAILED"},
		Title:   Words{En: "{at} takes no packet from outside with the source {for}", Zh: "{at} 不接受来自外部、源地址为 {for} 的数据包"},
		Because: Words{En: "{node} sent the packet on with a loopback address as its source, and {at} drops it as a martian: nothing in nat/POSTROUTING of {node} replaced it.", Zh: "{node} 转发时源地址仍是环回地址，{at} 将其当作 martian 包（非法源/目的地址）丢弃：{node} 的 nat/POSTROUTING 没有替换源地址。"},
		Opens:   Words{En: "{at} sees such requests come from the address of {node}.", Zh: "在 {at} 看来，这类请求来自 {node} 的地址。"},
	},
	{
		Name: "duplicate-address", Find: findDuplicateAddress, Reasons: []string{"IP_LOCAL_SOURCE", "NEIGH_FAILED"},
		Title:   Words{En: "{node} has the address {for} of {other}, too", Zh: "{node} 也拥有 {other} 的地址 {for}"},
		Because: Words{En: "A packet that comes in by {in} with an address of {node} itself as its source is dropped; an answer would not leave {node} either. One of the two has to get another address.", Zh: "从 {in} 进来、源地址却是 {node} 自己地址的数据包会被丢弃；应答也不会离开 {node}。两者之一必须更换地址。"},
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
		Name: "forwarding-off", Find: findForwardingOff, Reasons: []string{"IP_INADDRERRORS"},
		Title:   Words{En: "{node} does not forward packets: {text}", Zh: "{node} 不转发数据包：{text}"},
		Because: Words{En: "The packet came in by {in} for {to}, which is no address of {node} itself. It would have to go on by {out}, and is dropped.", Zh: "数据包从 {in} 进来，目的地 {to} 不是 {node} 自己的地址。它本应经 {out} 继续前行，却被丢弃了。"},
		Opens:   Words{En: "{node} becomes a router between all its interfaces, as far as the rules of FORWARD allow.", Zh: "{node} 将在其所有接口之间充当路由器，只受 FORWARD 规则的限制。"},
	},
	{
		Name: "reverse-path-filter", Find: findReversePathFilter, Reasons: []string{"IP_RPFILTER", "NEIGH_FAILED"},
		Title:   Words{En: "The reverse-path filter of {node} drops what comes from {for} by {in}", Zh: "{node} 的反向路径过滤丢弃了从 {in} 进来、源自 {for} 的数据包"},
		Because: Words{En: "With {text}, the kernel takes a packet only if it would send to its source by the same interface (1), or by any (2). {counts}", Zh: "{text} 时，内核只接受这样的数据包：发往其源地址的路由指向同一接口（1），或存在任意路由（2）。{counts}"},
		Opens:   Words{En: "With 2, packets with any source for which there is a route are taken from {in}, forged ones included; with a route back the filter stays as it is.", Zh: "设为 2 后，只要源地址有路由，从 {in} 进来的数据包都会被接受，包括伪造的；若添加返回路由，则过滤保持不变。"},
	},
	{
		Name: "routing-loop", Find: findRoutingLoop, Reasons: []string{"IP_INHDR"},
		Title:   Words{En: "The packet to {to} goes round in a loop through {node}", Zh: "发往 {to} 的数据包经过 {node} 形成了路由环路"},
		Because: Words{En: "{node} sends it by {text}, and it comes back, until its TTL is used up.", Zh: "{node} 按 {text} 把它发出，它又会回来，直到 TTL 耗尽。"},
		Opens:   Words{En: "Only this one address gets a route of its own.", Zh: "只有这一个地址得到专门的路由。"},
	},
	{
		Name: "ttl-expired", Find: findTTLExpired, Reasons: []string{"IP_INHDR"},
		Title:   Words{En: "The packet's TTL is used up in {at}", Zh: "数据包的 TTL 在 {at} 耗尽"},
		Because: Words{En: "{text} gives the packet a TTL that is too small for its way, and a router drops what it would have to send on with 0.", Zh: "{text} 使数据包的 TTL 不足以走完全程；路由器会丢弃 TTL 减到 0 的数据包。"},
		Opens:   Words{En: "With an exception from a rule only this request keeps its TTL; a new default is for everything that the sender sends.", Zh: "若是规则所致，只有这一请求保持原有的 TTL；若修改默认值，则对发送方的所有数据包生效。"},
	},
	{
		Name: "mtu", Find: findMTU, Reasons: []string{"PKT_TOO_BIG", "NETFILTER_DROP"},
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
		Name: "bridge-detached", Find: findBridgeDetached, Reasons: []string{"NEIGH_FAILED"},
		Title:   Words{En: "{text} in {node} is not attached to the bridge {bridge}", Zh: "{node} 的 {text} 没有接到网桥 {bridge} 上"},
		Because: Words{En: "{otherdev} of {other} is the other end of {text}. Its network is that of {bridge}, but nothing connects the two.", Zh: "{text} 的另一端是 {other} 的 {otherdev}。它属于 {bridge} 的网络，但两者之间没有连接。"},
		Opens:   Words{En: "{other} gets connected with everything on {bridge}.", Zh: "{other} 将与 {bridge} 上的一切相连。"},
	},
	{
		Name: "port-isolated", Find: findPortIsolated, Reasons: []string{"NEIGH_FAILED"},
		Title:   Words{En: "The ports {other} and {text} of the bridge {bridge} in {node} are isolated from each other", Zh: "{node} 网桥 {bridge} 的端口 {other} 与 {text} 相互隔离"},
		Because: Words{En: "A bridge delivers nothing between two isolated ports, only between an isolated one and the others.", Zh: "网桥不在两个隔离端口之间传送任何数据帧，只在隔离端口与其他端口之间传送。"},
		Opens:   Words{En: "{text} can speak with all isolated ports, not only with {other}.", Zh: "{text} 可以与所有隔离端口通信，而不仅仅是 {other}。"},
	},
	{
		Name: "port-blocked", Find: findPortBlocked, Reasons: []string{"NEIGH_FAILED", "BRIDGE_INGRESS_STP_STATE"},
		Title:   Words{En: "The port {text} of the bridge {bridge} in {node} does not forward: it is {state}", Zh: "{node} 网桥 {bridge} 的端口 {text} 不转发：状态为 {state}"},
		Because: Words{En: "A bridge takes no data from a port in this state and sends none to it. Somebody, or the spanning tree protocol, put it there.", Zh: "处于该状态的端口既不收也不发数据帧。这是人为设置，或由生成树协议决定的。"},
		Opens:   Words{En: "If the port was blocked to break a loop of bridges, the loop is back.", Zh: "如果阻塞该端口是为了断开网桥环路，环路将会重现。"},
	},
	{
		Name: "wrong-neighbor", Find: findWrongNeighbor, Reasons: []string{"OTHERHOST"},
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

	// What is left when nothing else explains it.
	{
		Name: "native-nft", Find: findNativeNft, Reasons: []string{"NETFILTER_DROP"},
		Title:   Words{En: "A chain of nf_tables in {node}, which iptables does not show, stops the packet: {chains}", Zh: "{node} 中一条 iptables 看不到的 nf_tables 链拦下了数据包：{chains}"},
		Because: Words{En: "The packet vanished where this chain stands, and nothing else there would stop it. nft list ruleset shows it.", Zh: "数据包正是在这条链所在的位置消失的，那里没有别的东西会拦下它。nft list ruleset 可以看到它。"},
		Opens:   Words{En: "Only requests like this one and their answers are let through, by a rule in the same chain.", Zh: "只放行与此相同的请求及其应答，规则加在同一条链里。"},
	},
	{
		Name: "silent-service", Find: findSilentService,
		Title:   Words{En: "The datagram arrived at {dst} in {at}, and nothing came back", Zh: "数据报已到达 {at} 的 {dst}，但没有任何应答"},
		Because: Words{En: "A socket ({process}) took it in, so the way there is open. UDP has no handshake: a server that does not understand what it was sent stays silent, and so does one that only listens. Whether the service works is for its own client to tell.", Zh: "套接字（{process}）已经接收了它，所以去程是通的。UDP 没有握手：服务器看不懂收到的内容，或者只收不发，都会保持沉默。服务是否正常，要用它自己的客户端来确认。"},
	},
}
