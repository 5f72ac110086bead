package assets

// Why is what an answer says beside the sentences of its cause, on the screen
// and in plain text alike.
type Why struct {
	// The headline.
	Reachable, NotReachable string
	// Asked is the question with what came of it; AskedAbout where the sender is not known.
	Asked, AskedAbout                               string
	Answered, Refused, Unreachable, Silent, Stalled string
	// WithError adds the sender's own error to a result.
	WithError string

	Because, Culprit, Evidence, Opens, Unseen string
	// Fix stands above the commands; FixAnywhere where no node is named.
	Fix, FixAnywhere string

	// CulpritIn is a kind of culprit and its node; the kinds follow.
	CulpritIn                                                 string
	Rule, Policy, Chain, NativeRule, Route, Choice, Sysctl    string
	Socket, Neighbor, Link, Connection                        string
	RulePlace, ChainPlace, HandlePlace, PolicyPlace, Iptables string

	// WalkHead stands above a walk in brief, which is one of the three.
	WalkHead                string
	Request, Reply, Refusal string
	// Notice is an ICMP message about the request.
	Notice string
	// Passed is said of the hooks that let the packet through as it was; Stop is
	// a station that did something.
	Passed, Stop string
	// Rewrites is an address translation, and Lost where a packet got lost.
	Rewrites, Lost string
	// Decided marks the culprit at work, Ended the step that nothing came behind.
	Decided, Ended string
	// MoreWalks counts the walks that are not shown in brief.
	MoreWalks string
}

// WhyFix is what is said in print where a fix is to be run.
type WhyFix struct {
	// Question asks for a yes; Try does so where the host was rebuilt.
	Question, Try string
	// Yes are the answers that are taken for one, with spaces between them.
	Yes string
	// Ran is a command that was run; Nothing was, and why: ByYourself on a host,
	// Unasked where the standard input was a file of the question.
	Ran, Nothing, ByYourself, Unasked string
	// NoFix is where no command is known, Again where the same one is, Further where
	// the next obstacle has come to light.
	NoFix, Again, Further string
}

// WhyScreen is what only the screen says of an answer.
type WhyScreen struct {
	Title, TitleFrom string // above all; with the sender where it is known
	Answer           string // the panel's title
	// What goes on: Asking is put before the others when the question is asked again.
	Sending, SendingFrom, Watching, Again, Finishing string
	Running                                          string
	// Failed is why the question could not be asked.
	Failed, AskAgain string
	// The notes on the panel's border.
	Reached, NotReached, Waiting string
	// What the keys show: under an answer with walks, and without.
	StepThrough, NoWalks string
	// Decided is said at the culprit, Ended where the request ended otherwise, each
	// with what is the matter.
	Decided, Ended string
	MarkDecided    Term
	// The fix.
	FixTitle, FixIn, RunIt, RunYourself, NoFix, NothingToMend, Ran, ExitCode, RanFailed, NotRun string
}

// WhyKeys describes the keys of an answer; the short forms stand in the footer.
type WhyKeys struct {
	Walk, Show, Decided, Ask, Fix, Yes, No, Next, Pause string

	WalkShort, AnswerShort, ShowShort, DecidedShort, AskShort, FixShort, YesShort, NoShort string
}
