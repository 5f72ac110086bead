package lab

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// RuleCommand is an iptables command, taken apart.
type RuleCommand struct {
	// IPv6 says that the command is for ip6tables.
	IPv6 bool
	// Variant is the variant of iptables that the program's name asks for, "nft"
	// or "legacy"; empty where it is left to the lab.
	Variant string
	Table   string // "filter" where the command names none, as iptables(8) has it
	// Action is the command's letter: one of A I D R N X F P E, or any other
	// of iptables' (L, S, Z, C), which change no rule.
	Action byte
	// Chain is empty for those actions that, without one, mean every chain.
	Chain string
	// Number is the rule number of I, D and R; 0 where the command gives none.
	Number int
	// To is the new name of E, or the policy of P.
	To string
	// Spec is the rule of A, I, D and R: matches and target.
	Spec []string
	// Args is the whole command behind the program's name.
	Args []string
}

// CommandError says what is wrong with an iptables command, and where.
type CommandError struct {
	Command string
	Offset  int // in bytes from the beginning of Command
	Problem string
	// NeedsShell says that a shell would have understood it.
	NeedsShell bool
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("reading %q: %s", e.Command, e.Problem)
}

// actions maps the long names of iptables' commands to the letters (iptables(8)).
var actions = map[string]byte{
	"append": 'A', "insert": 'I', "delete": 'D', "replace": 'R',
	"new-chain": 'N', "new": 'N', "delete-chain": 'X', "flush": 'F', "policy": 'P', "rename-chain": 'E', "rename": 'E',
	"check": 'C', "list": 'L', "list-rules": 'S', "zero": 'Z',
}

// freeText are the options whose value may look like anything, a command included.
var freeText = []string{"--comment", "--log-prefix", "--nflog-prefix", "--string", "--hex-string"}

// ParseCommand reads an iptables command as one would type it: with or without
// sudo, quoted as for a shell, iptables or ip6tables, with or without the name
// of a variant: "iptables-legacy -A …". The error is a *CommandError.
func ParseCommand(text string) (RuleCommand, error) {
	words, err := splitWords(text)
	if err != nil {
		return RuleCommand{}, err
	}
	p := commandParser{text: text, words: words}
	if !p.program() {
		return RuleCommand{}, p.fault("it does not start with iptables or ip6tables")
	}
	return p.command()
}

// ParseTyped reads a command that is typed at a shell. isRule says whether it is
// one call of iptables, by itself, that sets or shows rules; then c and err are
// those of ParseCommand. For any other, err is a *CommandError where even a
// shell could not read it.
func ParseTyped(text string) (c RuleCommand, isRule bool, err error) {
	words, err := splitWords(text)
	var bad *CommandError
	if errors.As(err, &bad) && bad.NeedsShell {
		return RuleCommand{}, false, nil
	}
	if err != nil {
		return RuleCommand{}, false, err
	}
	p := commandParser{text: text, words: words}
	if !p.program() || slices.ContainsFunc(words, func(w word) bool { return slices.Contains(helpWords, w.text) }) {
		return RuleCommand{}, false, nil
	}
	c, err = p.command()
	return c, true, err
}

// helpWords make iptables tell something about itself.
var helpWords = []string{"-V", "--version", "-h", "--help"}

// program moves past the program's name, and says whether it is iptables.
func (p *commandParser) program() bool {
	if p.next("sudo") {
		p.at++
	}
	for _, variant := range Variants() {
		names := Command(variant)
		if p.cmd.IPv6 = p.next(names.Iptables6); p.cmd.IPv6 || p.next(names.Iptables) {
			p.cmd.Variant = variant
			p.at++
			return true
		}
	}
	return false
}

// commandParser holds the words of one command and how far they are read.
type commandParser struct {
	text  string
	words []word
	at    int
	cmd   RuleCommand
}

func (p *commandParser) next(text string) bool {
	return p.at < len(p.words) && p.words[p.at].text == text
}

func (p *commandParser) fault(format string, args ...any) error {
	offset := len(p.text)
	if p.at < len(p.words) {
		offset = p.words[p.at].offset
	}
	return &CommandError{Command: p.text, Offset: offset, Problem: fmt.Sprintf(format, args...)}
}

// command reads everything behind the program's name. Options may stand in any
// order: what is neither the table nor the command belongs to the rule.
func (p *commandParser) command() (RuleCommand, error) {
	p.cmd.Table = "filter"
	for ; p.at < len(p.words); p.at++ {
		w := p.words[p.at].text
		p.cmd.Args = append(p.cmd.Args, w)
		var err error
		switch action, rest := commandWord(w); {
		case slices.Contains(freeText, w):
			p.cmd.Spec = append(p.cmd.Spec, w)
			if p.at+1 < len(p.words) {
				p.cmd.Spec = append(p.cmd.Spec, p.take())
			}
		case isTableWord(w):
			err = p.table(w)
		case isWait(w):
			p.wait()
		case action == 0:
			p.cmd.Spec = append(p.cmd.Spec, w)
		case p.cmd.Action != 0:
			err = p.fault("it has two commands, -%c and -%c", p.cmd.Action, action)
		default:
			p.cmd.Action = action
			err = p.operands(rest)
		}
		if err != nil {
			return RuleCommand{}, err
		}
	}
	if p.cmd.Action == 0 {
		return RuleCommand{}, p.fault("it has no command such as -A or -N")
	}
	return p.cmd, p.check()
}

// take moves on to the next word, which must be there.
func (p *commandParser) take() string {
	p.at++
	w := p.words[p.at].text
	p.cmd.Args = append(p.cmd.Args, w)
	return w
}

// operand moves on to the next word if that can be a chain, a number or a name.
func (p *commandParser) operand() (string, bool) {
	if p.at+1 >= len(p.words) {
		return "", false
	}
	if w := p.words[p.at+1].text; w == "" || w == "!" || w[0] == '-' {
		return "", false
	}
	return p.take(), true
}

// commandWord gives the letter of the command that a word is, and the operand
// that is joined to it ("-ADOCKER"); 0 if the word is no command. Options without
// a value may stand before the letter: "-nvL".
func commandWord(w string) (action byte, rest string) {
	if long, ok := strings.CutPrefix(w, "--"); ok {
		return actions[long], ""
	}
	letters, ok := strings.CutPrefix(w, "-")
	if letters = strings.TrimLeft(letters, "nvx"); !ok || letters == "" || !strings.ContainsRune("AIDRNXFPECLSZ", rune(letters[0])) {
		return 0, ""
	}
	return letters[0], letters[1:]
}

func isTableWord(w string) bool {
	return w == "--table" || strings.HasPrefix(w, "--table=") || (strings.HasPrefix(w, "-t") && !strings.HasPrefix(w, "--"))
}

func (p *commandParser) table(w string) error {
	name := strings.TrimPrefix(w, "--table=")
	if name == w {
		name = strings.TrimPrefix(w, "-t")
	}
	if w == "--table" || w == "-t" {
		var ok bool
		if name, ok = p.operand(); !ok {
			return p.fault("%s has no table behind it", w)
		}
	}
	if !slices.Contains([]string{"raw", "mangle", "nat", "filter", "security"}, name) {
		return p.fault("there is no table %q", name)
	}
	p.cmd.Table = name
	return nil
}

// isWait says whether a word asks iptables to wait for its lock, which the lab
// always does.
func isWait(w string) bool { return w == "-w" || w == "--wait" }

// wait reads the seconds behind -w. They are no part of the rule.
func (p *commandParser) wait() {
	if p.at+1 < len(p.words) {
		if _, err := strconv.ParseUint(p.words[p.at+1].text, 10, 32); err == nil {
			p.take()
		}
	}
}

// operands reads what stands behind the command: chain, number, name.
func (p *commandParser) operands(joined string) error {
	c := &p.cmd
	var ok bool
	if c.Chain, ok = joined, joined != ""; !ok {
		c.Chain, ok = p.operand()
	}
	if !ok && !strings.ContainsRune("XFLSZ", rune(c.Action)) {
		return p.fault("-%c has no chain behind it", c.Action)
	}
	switch c.Action {
	case 'P', 'E':
		if c.To, ok = p.operand(); !ok {
			return p.fault("-%c %s needs one more word", c.Action, c.Chain)
		}
	case 'I', 'D', 'R':
		return p.number()
	}
	return nil
}

// number reads a rule number, counted from 1; only R insists on one.
func (p *commandParser) number() error {
	w, ok := p.operand()
	if !ok {
		if p.cmd.Action == 'R' {
			return p.fault("-R %s has no rule number", p.cmd.Chain)
		}
		return nil
	}
	n, err := strconv.Atoi(w)
	if err != nil || n < 1 {
		return p.fault("%q is no rule number", w)
	}
	p.cmd.Number = n
	return nil
}

// maxChainName is the longest name of a chain: XT_EXTENSION_MAXNAMELEN of
// include/uapi/linux/netfilter/x_tables.h, without the closing zero.
const maxChainName = 28

// check finds the faults that show only once all words are read.
func (p *commandParser) check() error {
	c := p.cmd
	switch {
	case len(c.Chain) > maxChainName || (c.Action == 'E' && len(c.To) > maxChainName):
		return p.fault("a chain's name has at most %d characters", maxChainName)
	case strings.ContainsRune("NXFPE", rune(c.Action)) && len(c.Spec) > 0:
		return p.fault("-%c takes no rule, but there is %q", c.Action, c.Spec[0])
	case c.Action == 'D' && (c.Number == 0) == (len(c.Spec) == 0):
		return p.fault("-D wants either a rule number or a rule")
	}
	return nil
}
