package toolbox

import (
	"fmt"
	"strings"
	"time"
)

// option is an option of a stand-in: its names, and what it does. take is nil
// for one that only stands there.
type option struct {
	names []string
	set   func()
	take  func(value string) error
}

// parseOptions reads options in the way of the programs that are stood in for:
// short ones may be joined ("-sS"), and the value of one may follow at once
// ("-c1"). What is left are the operands, wherever they stand.
func parseOptions(args []string, options []option) (operands []string, err error) {
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		switch {
		case a == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(a, "--"):
			name, value, joined := strings.Cut(a, "=")
			args, err = applyOption(options, name, value, joined, args)
		case len(a) > 1 && a[0] == '-':
			args, err = applyShort(options, a, args)
		default:
			operands = append(operands, a)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// applyShort carries out joined short options.
func applyShort(options []option, word string, args []string) ([]string, error) {
	for at := 1; at < len(word); at++ {
		name := "-" + word[at:at+1]
		o := findOption(options, name)
		if o != nil && o.take != nil {
			return applyOption(options, name, word[at+1:], at+1 < len(word), args)
		}
		if _, err := applyOption(options, name, "", false, nil); err != nil {
			return args, err
		}
	}
	return args, nil
}

// applyOption carries out one option; without a joined value it takes the next word.
func applyOption(options []option, name, value string, joined bool, args []string) ([]string, error) {
	o := findOption(options, name)
	switch {
	case o == nil:
		return args, fmt.Errorf("this stand-in does not know the option %s", name)
	case o.take == nil:
		if joined {
			return args, fmt.Errorf("%s takes no value", name)
		}
		if o.set != nil {
			o.set()
		}
		return args, nil
	case !joined && len(args) == 0:
		return args, fmt.Errorf("%s needs a value", name)
	case !joined:
		value, args = args[0], args[1:]
	}
	if err := o.take(value); err != nil {
		return args, fmt.Errorf("%s %q: %w", name, value, err)
	}
	return args, nil
}

func findOption(options []option, name string) *option {
	for i, o := range options {
		for _, n := range o.names {
			if n == name {
				return &options[i]
			}
		}
	}
	return nil
}

// seconds takes a number of seconds, with a fraction or without.
func seconds(to *time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value + "s")
		if err != nil || d < 0 {
			return fmt.Errorf("it is no number of seconds")
		}
		*to = d
		return nil
	}
}
