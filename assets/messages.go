package assets

// Messages is every sentence the program says to its user. Words in braces,
// such as {dst}, are filled in by Fill. Names of tables, chains, hooks, targets
// and verdicts are the same in every language.
type Messages struct {
	// Language is the language's own name for itself.
	Language string
	Verdict  Verdicts
	Next     Nexts
	Outcome  Outcomes
	Walk     WalkWords
	Packet   PacketWords
	Rules    RulesWords
	Screen   Screen
	Keys     Keys
	Help     Help
	Pick     Pick
	Plain    Plain

	Lesson     Lesson
	Expect     Expectations
	Fault      Faults
	Prompt     Prompt
	LessonKeys LessonKeys

	Why       Why
	WhyFix    WhyFix
	WhyScreen WhyScreen
	WhyKeys   WhyKeys
}

// Verdicts says what a step did with the packet.
type Verdicts struct {
	// Entered and Continue: the packet goes on in the chain. CountsOnly is a
	// rule without a target.
	Entered, Continue, CountsOnly string
	Jump, Goto                    string
	Return, ReturnTo              string
	EndOfChain, EndOfChainTo      string
	ReturnBase                    string
	// Accept and PolicyAccept are followed by one of Nexts.
	Accept, PolicyAccept string
	Drop, PolicyDrop     string
	Reject, RejectWith   string
	DNAT, SNAT           string
	Masquerade, Redirect string
	NetmapDst, NetmapSrc string
	// UnseenDst and UnseenSrc are said of a rewriting whose result nothing shows.
	UnseenDst, UnseenSrc string
	// Reached: it cannot be told whether the rule matched.
	Reached, Other string
	// What connection tracking does on its own; the last is for a rewriting
	// whose origin is not known.
	Remembered, Undone, Rewritten string
}

// Nexts says where a packet goes that a table has let through.
type Nexts struct {
	Table, Routing, Process, Postrouting, Leaves, LeavesBy string
}

// Outcomes says how a walk ended. The words ending in Word stand alone, in a
// list; the others are sentences.
type Outcomes struct {
	DeliveredWord, ForwardedWord, DroppedWord, RejectedWord, LostWord, UnfinishedWord, UnderwayWord string

	Delivered, Forwarded, Dropped, Rejected, Lost, Unfinished, Underway string
	// Where a lost packet can have stopped, by the hook that it passed last.
	LostRouting, LostBetween, LostUpwards, LostLeaving string
	// Rule, Policy and Station name the place that decided.
	Rule, Policy, Station string
}

// WalkWords names a walk and its parts.
type WalkWords struct {
	Walk, Original, Reply, Conntrack string
}

// PacketWords labels what is known of a packet.
type PacketWords struct {
	Src, Dst, In, Out, State, Direction, Outcome, Length string
	TurnedBack                                           string
	Bytes                                                string
}

// RulesWords is what the rules panel says beside the rules.
type RulesWords struct {
	Policy, ReturnsAtEnd   string
	NoRules, Unknown, Only string
	Conntrack, RuleWas     string
	CalledBy               string
}

// Screen labels the parts of the screen.
type Screen struct {
	Stage, Rules, Packet, Walks  string
	Routing, RoutingShort        string
	Process, ProcessShort        string
	Playing, Paused, Finished    string
	WalkOf, StepOf               string
	Waiting, WaitingFor, NoWalks string
	Ended                        string
	Request, Sending, Failed     string
	Losses                       string
	LeftOut                      string
	TooSmall                     string
	AlsoThere                    string
}

// Keys describes what each key does.
type Keys struct {
	Pause, Left, Right, Faster, Slower, Next, Previous, Open string
	Up, Down, PageUp, PageDown, Home, End                    string
	Send, Help, Quit, Close, Choose                          string
	// Space and Enter are names of keys; so are the others.
	Space, Enter, PgUp, PgDn, HomeKey, EndKey string
	// The short forms stand in the footer.
	PauseShort, GoOnShort, AgainShort, StepShort, SpeedShort, FocusShort, OpenShort, ScrollShort, SendShort, HelpShort, QuitShort string
}

// Term is a word on the screen with what it means.
type Term struct{ Name, Meaning string }

// Help is the text of the help overlay.
type Help struct {
	Title, KeysTitle, WordsTitle, MarksTitle, Close string

	Hook, Table, Chain, UserChain, Rule, Target, Verdict, Policy                 Term
	Jump, Return, Routing, Process                                               Term
	Conntrack, State, Direction, Flow, Walk, DNAT, Masquerade                    Term
	Delivered, Forwarded, Dropped, Rejected, Lost, Unfinished                    Term
	MarkPacket, MarkVisited, MarkWithin, MarkAhead, MarkMatched, MarkWire, MarkX Term
}

// Terms lists the words of the field in the order in which they build on each other.
func (h Help) Terms() []Term {
	return []Term{h.Hook, h.Table, h.Chain, h.UserChain, h.Rule, h.Target, h.Verdict, h.Policy,
		h.Jump, h.Return, h.Routing, h.Process, h.Conntrack, h.State, h.Direction, h.DNAT, h.Masquerade,
		h.Walk, h.Flow, h.Delivered, h.Forwarded, h.Dropped, h.Rejected, h.Lost, h.Unfinished}
}

// Marks lists the signs on the screen.
func (h Help) Marks() []Term {
	return []Term{h.MarkPacket, h.MarkVisited, h.MarkWithin, h.MarkAhead, h.MarkMatched, h.MarkWire, h.MarkX}
}

// Pick is what the choice of a scenario says.
type Pick struct {
	Title, Question, None string
	// Done and Begun say how far the user has come.
	Done, Begun string
}

// Plain is what only the plain printer says.
type Plain struct {
	Walk, Step, Outcome, Rule, Policy, Conntrack, Entered string
	// Answers is said of a reset or an ICMP error.
	Answers string
	// What the request brought: Status with an HTTP status, Answered without
	// one, NoAnswer with an error. Lost is about events, LeftOut about packets;
	// they are said when there are any.
	Status, Answered, NoAnswer, Lost, LeftOut string
	// A rule that was passed over: for a reason that cannot be told, because of
	// what the packet had, and because it had nothing of the kind.
	NotMatched, NotMatchedWhy, NotMatchedNone string
	// StepTitle heads a step of a lesson; Choice is one answer to a question.
	StepTitle, Choice                 string
	Question, Solution, Results, Goal string
	// RightIs is said of the right answer to a question.
	RightIs string
	// Holds and HoldsNot are said of an expectation; Because says why not.
	Holds, HoldsNot, Because string
	// Failed says what went wrong in a step.
	Failed string
}
