package rebuild

import "packetwalk/trace/why"

// words are the texts of notes. Names in braces stand for a note's values.
var words = map[NoteKind]why.Words{
	RuleLeftOut: {
		En: "iptables here refuses this rule ({why}): left out: {rule}",
		Zh: "本机的 iptables 拒绝这条规则（{why}），已略去：{rule}",
	},
	TableLeftOut: {
		En: "iptables here refuses the table {table} ({why}): left out",
		Zh: "本机的 iptables 拒绝整张 {table} 表（{why}），已略去",
	},
	UnseenRules: {
		En: "the host has rules that this text does not show: {text}",
		Zh: "主机上还有这份文本没有列出的规则：{text}",
	},
	VariantDiffers: {
		En: "the rules were saved from iptables-{saved}, which does not work here ({why}); iptables-{used} has loaded them",
		Zh: "这些规则保存自 iptables-{saved}，它在这里不能用（{why}）；改由 iptables-{used} 载入",
	},
	NoRules: {
		En: "the text holds no rules for this IP version, so the host is taken to have none; {command} prints them",
		Zh: "文本中没有这个 IP 版本的规则，因此按主机没有规则处理；用 {command} 可以打印",
	},
	NetworkAssumed: {
		En: "assumed: {interface} has the address {address}",
		Zh: "假定：{interface} 的地址是 {address}",
	},
	OutsideAssumed: {
		En: "assumed: {interface} leads to the outside, with the address {address}",
		Zh: "假定：{interface} 通向外部，地址是 {address}",
	},
	GatewayAssumed: {
		En: "assumed: other networks are reached by a router, {gateway} at {interface}",
		Zh: "假定：其他网络经由 {interface} 上的路由器 {gateway}",
	},
	WayBackDiffers: {
		En: "assumed: the sender's packets come by {interface}, where the target's address is; the host's route to the sender leads by {other}, and what is there is not known: answers end there",
		Zh: "假定：发送方的数据包从目标地址所在的 {interface} 进来；主机到发送方的路由却走 {other}，那边有什么不得而知，应答就到那里为止",
	},
	AddressesAssumed: {
		En: "assumed: the host has only the addresses that {file} shows",
		Zh: "假定：主机只有 {file} 中能看出的地址",
	},
	NodeAssumed: {
		En: "assumed: {address} is at {interface}; the node {node} stands for it",
		Zh: "假定：{address} 在 {interface} 上；由节点 {node} 代表",
	},
	RouteBackAssumed: {
		En: "assumed: {address} sends packets for {network} to the host",
		Zh: "假定：{address} 把发往 {network} 的数据包交给这台主机",
	},
	ServiceAssumed: {
		En: "assumed: on {node} something listens on {proto} {address}",
		Zh: "假定：{node} 上有程序监听 {proto} {address}",
	},
	ProxyAssumed: {
		En: "assumed: docker-proxy listens on the host's {address}",
		Zh: "假定：docker-proxy 监听主机的 {address}",
	},
	DestinationsLeftOut: {
		En: "destinations of DNAT rules that were not built, since the request does not come to them: {count}",
		Zh: "有 {count} 个 DNAT 目标与这次请求无关，没有建出来",
	},
	ForwardingAssumed: {
		En: "assumed: {sysctl} = 1, and every other sysctl is as the kernel has it (rp_filter 0, route_localnet 0)",
		Zh: "假定：{sysctl} = 1，其他 sysctl 都是内核的默认值（rp_filter 0、route_localnet 0）",
	},
	BridgeFilterNeeded: {
		En: "sender and target are on the bridge {bridge}: iptables sees such packets only where br_netfilter is loaded, and the lab does as this machine",
		Zh: "发送方和目标都在网桥 {bridge} 上：只有加载了 br_netfilter，iptables 才看得到这种数据包；实验环境与本机一致",
	},
	InterfacePlain: {
		En: "{interface} is built as a plain interface, not as {kind}",
		Zh: "{interface} 按普通接口建出，而不是 {kind}",
	},
	PortsLeftOut: {
		En: "interfaces of containers that are not there, since they have nothing to do with the request: {count}",
		Zh: "有 {count} 个与这次请求无关的容器接口没有建出来",
	},
	AddressLeftOut: {
		En: "the address {address} of {interface} is not there: it cannot be set",
		Zh: "{interface} 的地址 {address} 无法设置，已略去",
	},
	RouteLeftOut: {
		En: "the route was left out ({why}): {route}",
		Zh: "路由已略去（{why}）：{route}",
	},
	RouteRemoved: {
		En: "the listing lacks a route that the kernel makes by itself; it was removed here, too: {route}",
		Zh: "列表中缺少内核自动添加的路由；这里也已删除：{route}",
	},
	ChoiceLeftOut: {
		En: "the policy rule was left out ({why}): {rule}",
		Zh: "策略路由规则已略去（{why}）：{rule}",
	},
	TableRenumbered: {
		En: "the routing table {table} has the number {number} here",
		Zh: "路由表 {table} 在这里的编号是 {number}",
	},
	CommandRefused: {
		En: "this was refused ({why}): {command}",
		Zh: "命令被拒绝（{why}）：{command}",
	},
}
