package scenarios

// Step is one stage of a scenario. When it begins, its commands are carried
// out; then the question is asked, the requests are sent, and their walks held
// to the expectations. A step with a goal ends when the goal is reached.
type Step struct {
	// Name tells the steps of a scenario apart, in progress files for instance.
	Name  string
	Title Text
	// Text is Markdown, and so is After, which is shown when the walks have been seen.
	Text, After Text
	Run         []Command
	Ask         *Question // nil for none
	// Send names the clients whose requests are sent, one after the other.
	Send   []string
	Expect []Expectation
	Goal   *Goal // nil for none
}

// Command is something typed in a node.
type Command struct {
	Node string
	Text string
	// Fails says that the command is meant to end with an exit code other than
	// 0, as a ping does that nobody answers.
	Fails bool
}

// Question is asked before the packet moves.
type Question struct {
	Text    Text
	Choices []Choice
}

// Choice is one answer to a question.
type Choice struct {
	Text  Text
	Right bool
	// Why says what is right or wrong about it; may be empty.
	Why Text
}

// Goal is something that the user has to bring about, by whatever means: it is
// reached when the walks of its requests meet the expectations.
type Goal struct {
	Text   Text // what is to be reached, in one sentence
	Send   []string
	Expect []Expectation
	// Hints go from a nudge to nearly the answer.
	Hints    []Text
	Solution []Command
}
