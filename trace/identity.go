package trace

// Identity is a fingerprint of the bits of a packet that NAT, forwarding and
// TTL leave alone: protocol, IP ID, TCP sequence and acknowledgement, ICMP
// type and sequence, payload. It is comparable, and meaningful within one run only.
type Identity uint64
