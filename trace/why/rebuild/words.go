package rebuild

// words are the texts of notes, in English and Chinese. Names in braces stand
// for a note's values.
var words = map[NoteKind]struct {
	en, zh string
	// leftOut: see Note.LeftOut.
	leftOut bool
}{
	RuleLeftOut: {
		"iptables here refuses this rule ({why}): left out: {rule}",
		"本机的 iptables 拒绝这条规则（{why}），已略去：{rule}", true,
	},
	TableLeftOut: {
		"iptables here refuses the table {table} ({why}): left out",
		"本机的 iptables 拒绝整张 {table} 表（{why}），已略去", true,
	},
	UnseenRules: {
		"the host has rules that this text does not show: {text}",
		"主机上还有这份文本没有列出的规则：{text}", true,
	},
	NoRules: {
		"the text holds no rules for this IP version, so the host is taken to have none; {command} prints them",
		"文本中没有这个 IP 版本的规则，因此按主机没有规则处理；用 {command} 可以打印", false,
	},
	NetworkAssumed: {
		"assumed: {interface} has the address {address}",
		"假定：{interface} 的地址是 {address}", false,
	},
	OutsideAssumed: {
		"assumed: {interface} leads to the outside, with the address {address}",
		"假定：{interface} 通向外部，地址是 {address}", false,
	},
	GatewayAssumed: {
		"assumed: other networks are reached by a router, {gateway} at {interface}",
		"假定：其他网络经由 {interface} 上的路由器 {gateway}", false,
	},
	WayBackDiffers: {
		"assumed: the sender's packets come by {interface}, where the target's address is; the host's route to the sender leads by {other}, and what is there is not known: answers end there",
		"假定：发送方的数据包从目标地址所在的 {interface} 进来；主机到发送方的路由却走 {other}，那边有什么不得而知，应答就到那里为止", false,
	},
	AddressesAssumed: {
		"assumed: the host has only the addresses that {file} shows",
		"假定：主机只有 {file} 中能看出的地址", false,
	},
	NodeAssumed: {
		"assumed: {address} is at {interface}; the node {node} stands for it",
		"假定：{address} 在 {interface} 上；由节点 {node} 代表", false,
	},
	RouteBackAssumed: {
		"assumed: {address} sends packets for {network} to the host",
		"假定：{address} 把发往 {network} 的数据包交给这台主机", false,
	},
	ServiceAssumed: {
		"assumed: on {node} something listens on {proto} {address}",
		"假定：{node} 上有程序监听 {proto} {address}", false,
	},
	ProxyAssumed: {
		"assumed: docker-proxy listens on the host's {address}",
		"假定：docker-proxy 监听主机的 {address}", false,
	},
	DestinationsLeftOut: {
		"{count} destinations of DNAT rules were not built: the request does not come to them",
		"有 {count} 个 DNAT 目标与这次请求无关，没有建出来", true,
	},
	ForwardingAssumed: {
		"assumed: {sysctl} = 1, and every other sysctl is as the kernel has it (rp_filter 0, route_localnet 0)",
		"假定：{sysctl} = 1，其他 sysctl 都是内核的默认值（rp_filter 0、route_localnet 0）", false,
	},
	BridgeFilterNeeded: {
		"sender and target are on the bridge {bridge}: iptables sees such packets only where br_netfilter is loaded, and the lab does as this machine",
		"发送方和目标都在网桥 {bridge} 上：只有加载了 br_netfilter，iptables 才看得到这种数据包；实验环境与本机一致", false,
	},
	InterfacePlain: {
		"{interface} is built as a plain interface, not as {kind}",
		"{interface} 按普通接口建出，而不是 {kind}", true,
	},
	PortsLeftOut: {
		"{count} interfaces of containers that have nothing to do with the request are not there",
		"有 {count} 个与这次请求无关的容器接口没有建出来", true,
	},
	AddressLeftOut: {
		"the address {address} of {interface} is not there: it cannot be set",
		"{interface} 的地址 {address} 无法设置，已略去", true,
	},
	RouteLeftOut: {
		"the route was left out ({why}): {route}",
		"路由已略去（{why}）：{route}", true,
	},
	RouteRemoved: {
		"the listing lacks a route that the kernel makes by itself; it was removed here, too: {route}",
		"列表中缺少内核自动添加的路由；这里也已删除：{route}", false,
	},
	ChoiceLeftOut: {
		"the policy rule was left out ({why}): {rule}",
		"策略路由规则已略去（{why}）：{rule}", true,
	},
	TableRenumbered: {
		"the routing table {table} has the number {number} here",
		"路由表 {table} 在这里的编号是 {number}", false,
	},
	CommandRefused: {
		"this was refused ({why}): {command}",
		"命令被拒绝（{why}）：{command}", true,
	},
}
