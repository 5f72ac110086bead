package main

import (
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/lab/toolbox"
)

func TestMain(m *testing.M) {
	if code, ok := toolbox.Run(os.Args); ok {
		os.Exit(code) // started in a lab, under the name of one of its tools
	}
	testscript.Main(m, map[string]func(){"packetwalk": main, "httpserver": httpServer, "datagram": datagram})
}

// httpServer answers on an address until it is killed: httpserver ADDRESS
func httpServer() {
	err := http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	}))
	log.Fatal(err)
}

// datagram sends one, with a byte: datagram ADDRESS
func datagram() {
	conn, err := net.Dial("udp", os.Args[1])
	if err == nil {
		_, err = conn.Write([]byte("x"))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			variant, ok := strings.CutPrefix(name, "lab:")
			return ok && canBuildLabs(t, variant), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"checkwalks": checkWalks,
			"exitcode":   checkExitCode,
		},
	})
}

// canBuildLabs says whether this machine has what a lab with this variant of
// iptables needs. Where everything must run, a lack is a failure.
func canBuildLabs(t *testing.T, variant string) bool {
	for _, c := range lab.Doctor(t.Context()) {
		if c.Status == lab.Missing || c.Status != lab.OK && strings.Contains(c.Name, variant) {
			if os.Getenv(labtest.RequireEnv) == "1" {
				t.Errorf("%s=1, but %s: %s", labtest.RequireEnv, c.Name, c.Detail)
			}
			return false
		}
	}
	return true
}

// checkExitCode runs the program and compares its exit code: exitcode CODE ARGS...
func checkExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE ARGS...")
	}
	err := ts.Exec("packetwalk", args[1:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("packetwalk %s: exit code %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// object is what the tests need of the program's JSON, by the names in docs/json.md.
type object struct {
	Type, Outcome, Direction string
	ID, Flow                 int
	Packet                   struct{ Flags, Src, Dst string }
	Steps                    []struct {
		Node, Hook, Table, Chain, Verdict, Src, Dst string
		Rule                                        int
	}
	End    struct{ Node string }
	Status int
	Events int
}

// checkWalks holds the output of a run of publish-port to what is promised of it.
func checkWalks(ts *testscript.TestScript, neg bool, args []string) {
	var objects []object
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var o object
		if err := json.Unmarshal([]byte(line), &o); err != nil && o.Type != "step" { // whose steps are a number
			ts.Fatalf("%v in %q", err, line)
		}
		objects = append(objects, o)
	}
	syn := slices.IndexFunc(objects, func(o object) bool { return o.Packet.Flags == "S" })
	reply := slices.IndexFunc(objects, func(o object) bool { return o.Packet.Flags == "SA" })
	answer := slices.IndexFunc(objects, func(o object) bool { return o.Type == "answer" })
	if syn < 0 || reply < 0 || answer < 0 {
		ts.Fatalf("the walks of SYN and SYN ACK and the answer are at %d, %d, %d", syn, reply, answer)
	}
	if a := objects[answer]; a.Status != 200 {
		ts.Fatalf("the answer is %+v", a)
	}
	if last := objects[len(objects)-1]; last.Type != "lost" || last.Events != 0 {
		ts.Fatalf("the last object is %+v, want that nothing was lost", last)
	}
	if w := objects[syn]; w.Outcome != "delivered" || w.End.Node != "c1" || w.Direction != "original" {
		ts.Fatalf("the SYN is %s at %s, %s", w.Outcome, w.End.Node, w.Direction)
	}
	inOrder(ts, objects[syn], []string{
		"client OUTPUT", "client POSTROUTING",
		"host raw/PREROUTING", "host mangle/PREROUTING", "host nat/PREROUTING", "host nat/DOCKER 2 DNAT",
		"host mangle/FORWARD", "host filter/FORWARD", "host filter/DOCKER-USER", "host filter/DOCKER-ISOLATION-STAGE-1",
		"host filter/DOCKER 1 ACCEPT", "host security/FORWARD", "host mangle/POSTROUTING", "host nat/POSTROUTING",
		"c1 PREROUTING", "c1 INPUT",
	})
	for _, s := range objects[reply].Steps {
		if s.Table == "nat" {
			ts.Fatalf("the reply visits nat/%s", s.Chain)
		}
	}
	steps := objects[reply].Steps
	if first, last := steps[0].Src, steps[len(steps)-1].Src; first != "172.17.0.2:80" || last != "192.168.23.149:80" {
		ts.Fatalf("the reply's source goes from %s to %s", first, last)
	}
}

// inOrder fails unless the walk has steps that fit, in this order: "NODE HOOK",
// "NODE TABLE/CHAIN" or "NODE TABLE/CHAIN RULE VERDICT".
func inOrder(ts *testscript.TestScript, w object, want []string) {
	for _, s := range w.Steps {
		f := strings.Fields(want[0])
		place := s.Table + "/" + s.Chain
		if s.Node != f[0] || f[1] != s.Hook && f[1] != place {
			continue
		}
		if len(f) == 4 && (jsonNumber(s.Rule) != f[2] || s.Verdict != f[3]) {
			continue
		}
		if want = want[1:]; len(want) == 0 {
			return
		}
	}
	ts.Fatalf("the walk does not have %q, in that order, behind what comes before", want)
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n) // an int always has a JSON form
	return string(b)
}
