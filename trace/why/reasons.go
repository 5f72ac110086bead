package why

// reasonWords say in short what the kernel's reasons mean, for those that a cause
// has (include/net/dropreason-core.h, and where the kernel gives them: ip_error in
// net/ipv4/route.c for routes and forwarding, ip_forward in net/ipv4/ip_forward.c
// for the TTL, sk_acceptq_is_full in include/net/sock.h for full queues).
var reasonWords = map[string]Words{
	"BRIDGE_INGRESS_STP_STATE": {En: "the bridge's port does not forward", Zh: "网桥端口不处于转发状态"},
	"IP_INADDRERRORS":          {En: "no route, or forwarding is off", Zh: "没有路由，或者转发已关闭"},
	"IP_INHDR":                 {En: "the IP header is not accepted, such as a TTL that is used up", Zh: "IP 头不被接受，例如 TTL 已耗尽"},
	"IP_INNOROUTES":            {En: "no route for a packet that came in", Zh: "进来的数据包没有路由"},
	"IP_INVALID_DEST":          {En: "no packet may have this destination", Zh: "目的地址无效"},
	"IP_INVALID_SOURCE":        {En: "no packet may have this source", Zh: "源地址无效"},
	"IP_LOCALNET":              {En: "a loopback address on a packet from outside", Zh: "来自外部的数据包带有环回地址"},
	"IP_LOCAL_SOURCE":          {En: "the source is an address of this machine itself", Zh: "源地址是本机自己的地址"},
	"IP_OUTNOROUTES":           {En: "no route for a packet of this machine's own", Zh: "本机发出的数据包没有路由"},
	"IP_RPFILTER":              {En: "reverse-path filter", Zh: "反向路径过滤"},
	"NEIGH_FAILED":             {En: "nobody told the next hop's hardware address", Zh: "查询不到下一跳的硬件地址"},
	"NEIGH_QUEUEFULL":          {En: "too many packets wait for the next hop's hardware address", Zh: "等待下一跳硬件地址的数据包太多"},
	"NETFILTER_DROP":           {En: "dropped by netfilter", Zh: "被 netfilter 丢弃"},
	"NO_SOCKET":                {En: "nothing listens", Zh: "没有程序监听"},
	"OTHERHOST":                {En: "the frame's hardware address is another machine's", Zh: "数据帧的硬件地址属于另一台机器"},
	"PKT_TOO_BIG":              {En: "larger than the MTU", Zh: "超过 MTU"},
	"SOCKET_BACKLOG":           {En: "the socket's queue is full", Zh: "套接字的队列已满"},
	"TCP_LISTEN_OVERFLOW":      {En: "too many connections wait to be accepted", Zh: "等待接受的连接太多"},
}

// meaning is what stands behind a reason of the kernel's; empty where it is not
// one that is known.
func meaning(reason, lang string) string {
	w, ok := reasonWords[reason]
	switch {
	case !ok:
		return ""
	case lang == "zh":
		return "：" + w.In(lang)
	}
	return ": " + w.In(lang)
}
