package lab

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCommand(t *testing.T) {
	tests := map[string]RuleCommand{
		"iptables -A FORWARD -j DROP": {
			Table: "filter", Action: 'A', Chain: "FORWARD", Spec: []string{"-j", "DROP"},
			Args: []string{"-A", "FORWARD", "-j", "DROP"},
		},
		"sudo iptables -t nat -N DOCKER": {
			Table: "nat", Action: 'N', Chain: "DOCKER", Args: []string{"-t", "nat", "-N", "DOCKER"},
		},
		"ip6tables --table=raw --append PREROUTING -p udp -j NOTRACK": {
			IPv6: true, Table: "raw", Action: 'A', Chain: "PREROUTING", Spec: []string{"-p", "udp", "-j", "NOTRACK"},
			Args: []string{"--table=raw", "--append", "PREROUTING", "-p", "udp", "-j", "NOTRACK"},
		},
		"iptables -p tcp -I INPUT 2 ! -i lo -tmangle -j ACCEPT": {
			Table: "mangle", Action: 'I', Chain: "INPUT", Number: 2, Spec: []string{"-p", "tcp", "!", "-i", "lo", "-j", "ACCEPT"},
			Args: []string{"-p", "tcp", "-I", "INPUT", "2", "!", "-i", "lo", "-tmangle", "-j", "ACCEPT"},
		},
		"iptables -I INPUT ! -i lo -j DROP": {
			Table: "filter", Action: 'I', Chain: "INPUT", Spec: []string{"!", "-i", "lo", "-j", "DROP"},
			Args: []string{"-I", "INPUT", "!", "-i", "lo", "-j", "DROP"},
		},
		"iptables -w 5 -D INPUT 3": {
			Table: "filter", Action: 'D', Chain: "INPUT", Number: 3, Args: []string{"-w", "5", "-D", "INPUT", "3"},
		},
		"iptables -P FORWARD DROP  # nothing passes": {
			Table: "filter", Action: 'P', Chain: "FORWARD", To: "DROP", Args: []string{"-P", "FORWARD", "DROP"},
		},
		"iptables -E OLD NEW": {
			Table: "filter", Action: 'E', Chain: "OLD", To: "NEW", Args: []string{"-E", "OLD", "NEW"},
		},
		"iptables -F": {Table: "filter", Action: 'F', Args: []string{"-F"}},
		"iptables -X -t nat\n": {
			Table: "nat", Action: 'X', Args: []string{"-X", "-t", "nat"},
		},
		`iptables -R INPUT 1 -m comment --comment "-A or \"-t\"" -j LOG --log-prefix 'a  b'\ c`: {
			Table: "filter", Action: 'R', Chain: "INPUT", Number: 1,
			Spec: []string{"-m", "comment", "--comment", `-A or "-t"`, "-j", "LOG", "--log-prefix", "a  b c"},
			Args: []string{"-R", "INPUT", "1", "-m", "comment", "--comment", `-A or "-t"`, "-j", "LOG", "--log-prefix", "a  b c"},
		},
		"iptables -A INPUT \\\n -j DROP": {
			Table: "filter", Action: 'A', Chain: "INPUT", Spec: []string{"-j", "DROP"}, Args: []string{"-A", "INPUT", "-j", "DROP"},
		},
	}
	for text, want := range tests {
		got, err := ParseCommand(text)
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestParseCommandFaults(t *testing.T) {
	tests := []struct {
		text    string
		offset  int
		problem string
	}{
		{"", 0, "does not start with iptables"},
		{"nft list ruleset", 0, "does not start with iptables"},
		{"iptables -t nat", 15, "no command"},
		{"iptables -t", 9, "no table behind it"},
		{"iptables -t nats -N X", 12, `no table "nats"`},
		{"iptables -A", 9, "no chain behind it"},
		{"iptables -N", 9, "no chain behind it"},
		{"iptables -P FORWARD", 12, "one more word"},
		{"iptables -R INPUT -j DROP", 12, "no rule number"},
		{"iptables -I INPUT 0 -j DROP", 18, "no rule number"},
		{"iptables -D INPUT", 17, "either a rule number or a rule"},
		{"iptables -D INPUT 1 -j DROP", 27, "either a rule number or a rule"},
		{"iptables -A INPUT -D INPUT 1", 18, "two commands"},
		{"iptables -N X -j DROP", 21, "takes no rule"},
		{"iptables -N " + strings.Repeat("x", 29), 41, "at most 28"},
		{"iptables -A INPUT -s $IP -j DROP", 21, "no shell here"},
		{"iptables -F; iptables -X", 11, "no shell here"},
		{`iptables -A "INPUT`, 12, "never closed"},
		{`iptables -A 'INPUT`, 12, "never closed"},
		{"iptables -A \"`id`\"", 13, "no shell here"},
		{"iptables -F\niptables -X", 11, "second line"},
		{"iptables -A \x00", 12, "zero byte"},
	}
	for _, test := range tests {
		_, err := ParseCommand(test.text)
		var bad *CommandError
		if !errors.As(err, &bad) {
			t.Errorf("%q: error %v, want a *CommandError", test.text, err)
			continue
		}
		if bad.Offset != test.offset || !strings.Contains(bad.Problem, test.problem) {
			t.Errorf("%q: at %d: %s; want at %d: %s", test.text, bad.Offset, bad.Problem, test.offset, test.problem)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
	f.Add(`sudo ip6tables -w 5 -I INPUT 1 -m comment --comment "a 'b' \"c\"" -j LOG --log-prefix x\ y`)
	f.Add("iptables -E A B # rename")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCommand(text)
		if err != nil {
			var bad *CommandError
			if !errors.As(err, &bad) || bad.Offset < 0 || bad.Offset > len(text) || bad.Problem == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		// What was understood means the same when it is quoted and read again.
		again, err := ParseCommand(typed(c))
		if err != nil {
			t.Fatalf("%q: typed as %q: %v", text, typed(c), err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatalf("%q: typed as %q (-first +second):\n%s", text, typed(c), diff)
		}
	})
}

// typed is the command with every word in quotes.
func typed(c RuleCommand) string {
	line := "iptables"
	if c.IPv6 {
		line = "ip6tables"
	}
	for _, w := range c.Args {
		line += " '" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return line
}

func TestParseCommandVariant(t *testing.T) {
	tests := map[string]RuleCommand{
		"iptables -F":              {},
		"iptables-legacy -F":       {Variant: "legacy"},
		"sudo iptables-nft -F":     {Variant: "nft"},
		"ip6tables-legacy -F":      {Variant: "legacy", IPv6: true},
		"ip6tables -t filter -nvF": {IPv6: true},
	}
	for text, want := range tests {
		got, err := ParseCommand(text)
		if err != nil || got.Variant != want.Variant || got.IPv6 != want.IPv6 || got.Action != 'F' {
			t.Errorf("ParseCommand(%q) = %+v, %v", text, got, err)
		}
	}
}

// TestParseTyped sees calls of iptables told from what only a shell understands.
func TestParseTyped(t *testing.T) {
	tests := map[string]struct {
		isRule bool
		fault  string
	}{
		"iptables -A FORWARD -j DROP":       {true, ""},
		"sudo iptables-legacy -nvL FORWARD": {true, ""},
		"ip6tables -A FORWARD":              {true, ""},
		"iptables -A":                       {true, "-A has no chain behind it"},
		"iptables -t nat":                   {true, "it has no command"},
		"iptables --version":                {false, ""},
		"iptables -L | head":                {false, ""},
		"iptables-save":                     {false, ""},
		"echo \"$PATH\"":                    {false, ""},
		"one\ntwo":                          {false, ""},
		"ping -c 1 10.0.0.1":                {false, ""},
		"":                                  {false, ""},
		"sudo":                              {false, ""},
		"echo 'open":                        {false, "a single quote is never closed"},
		"iptables -A FORWARD \"open":        {false, "a double quote is never closed"},
	}
	for text, want := range tests {
		_, isRule, err := ParseTyped(text)
		if isRule != want.isRule || (err == nil) != (want.fault == "") || err != nil && !strings.Contains(err.Error(), want.fault) {
			t.Errorf("ParseTyped(%q) = rule %t, %v; want %t, %q", text, isRule, err, want.isRule, want.fault)
		}
	}
}
