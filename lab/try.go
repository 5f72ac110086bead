package lab

// Trial is an iptables command to be tried out in a node that has nothing but
// the rules of the trials before.
type Trial struct {
	// Path names the command, as in Fault.
	Path string
	Node string
	// Command is read by ParseCommand.
	Command string
	// Fails says that the command is meant to fail: that is no fault then.
	Fails bool
}
