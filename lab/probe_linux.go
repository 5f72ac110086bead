package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/florianl/go-nflog/v2"
	"github.com/vishvananda/netlink"
)

// probeAnswer is what the probing process prints.
type probeAnswer struct {
	// Sandbox says why the sandbox could not be finished; nil where it could.
	Sandbox *Check
	Checks  []Check
}

// probeAll tries out, inside a throw-away sandbox, what labs use.
func probeAll() probeAnswer {
	if os.Getenv(probeEnv) == "user" {
		return probeAnswer{} // to have been started was the question
	}
	if err := Enter(); err != nil {
		c := missingCheck("sandbox", err)
		return probeAnswer{Sandbox: &c}
	}
	checks := []Check{
		probe("veth", "modprobe veth", Missing, tryVeth),
		probe("bridge", "modprobe bridge", Missing, tryBridge),
		probe("bridge netfilter", "modprobe br_netfilter", Warning, func() error {
			_, err := readSysctl("net.bridge.bridge-nf-call-iptables")
			return err
		}),
		probe("sysctls", "", Warning, func() error {
			return writeSysctl(Sysctl{Name: "net.ipv4.ip_forward", Value: "1"})
		}),
		probe("nfnetlink_log", "modprobe nfnetlink_log", Missing, tryNFLOG),
	}
	var rules []Check
	for _, variant := range Variants()[1:] {
		rules = append(rules, probeRules(variant)...)
	}
	return probeAnswer{Checks: append(checks, judge(rules)...)}
}

// judge turns a warning about a feature of iptables into something missing
// where no variant has it.
func judge(rules []Check) []Check {
	works := map[string]bool{}
	for _, c := range rules {
		_, name, _ := strings.Cut(c.Name, ": ")
		works[name] = works[name] || c.Status == OK
	}
	for i, c := range rules {
		if _, name, _ := strings.Cut(c.Name, ": "); !works[name] {
			rules[i].Status = Missing
		}
	}
	return rules
}

// probe tries one thing; module is the command, to be run as root, that mends it.
func probe(name, module string, otherwise Status, try func() error) Check {
	err := try()
	var missing *MissingError
	switch {
	case err == nil:
		return Check{Name: name, Status: OK, Detail: "works"}
	case errors.As(err, &missing):
		c := missingCheck(name, err)
		c.Status = otherwise
		return c
	}
	c := Check{Name: name, Status: otherwise, Detail: err.Error()}
	if module != "" {
		c.Fix = "sudo " + module
	}
	return c
}

func tryVeth() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe0"
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "probe1"
	return netlink.LinkAdd(veth)
}

func tryBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe2"
	return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
}

// tryNFLOG binds a group of nfnetlink_log, as reading NFLOG does.
func tryNFLOG() error {
	log, err := nflog.Open(&nflog.Config{Group: 1, Copymode: nflog.CopyPacket, Bufsize: 128})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ignore := func(nflog.Attribute) int { return 0 }
	err = log.RegisterWithErrorFunc(ctx, ignore, func(error) int { return 1 })
	cancel()
	return errors.Join(err, log.Close())
}

// feature is a part of iptables that labs use, and the kernel module that has it.
type feature struct {
	name, module string
	args         string
}

// features are tried in this order; the first stands for the variant as such.
var features = map[string][]feature{
	"nft": {
		{"filter table", "nf_tables", "-A FORWARD -j ACCEPT"},
		{"nat table", "nft_chain_nat", "-t nat -A POSTROUTING -j MASQUERADE"},
	},
	"legacy": {
		{"filter table", "iptable_filter", "-A FORWARD -j ACCEPT"},
		{"nat table", "iptable_nat", "-t nat -A POSTROUTING -j MASQUERADE"},
	},
}

// extensions are the matches and targets that both variants take from the kernel.
var extensions = []feature{
	{"conntrack match", "xt_conntrack", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT"},
	{"addrtype match", "xt_addrtype", "-A FORWARD -m addrtype --dst-type LOCAL -j ACCEPT"},
	{"NFLOG target", "xt_NFLOG", "-A FORWARD -j NFLOG --nflog-group 1"},
}

// probeRules tries the features of one variant. What one variant lacks is no
// obstacle as long as the other has it.
func probeRules(variant string) []Check {
	program := Command(variant).Iptables
	if _, err := exec.LookPath(program); err != nil {
		return nil // reported as not installed
	}
	var checks []Check
	for _, f := range append(features[variant], extensions...) {
		checks = append(checks, probe(variant+": "+f.name, "modprobe "+f.module, Warning, func() error {
			args := append([]string{"--wait"}, strings.Fields(f.args)...)
			out, err := exec.Command(program, args...).CombinedOutput()
			if err != nil {
				first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
				return fmt.Errorf("%w: %s", err, first)
			}
			return nil
		}))
	}
	return checks
}
