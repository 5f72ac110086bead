package lab

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// machineWith reads the sysctls of a machine that has only these.
func machineWith(all map[string]string) sysctlReader {
	return func(name string) (string, error) {
		if v, ok := all[name]; ok {
			return v, nil
		}
		return "", os.ErrNotExist
	}
}

func TestExplainDenied(t *testing.T) {
	tests := []struct {
		sysctls map[string]string
		want    string
	}{
		{map[string]string{"kernel.unprivileged_userns_clone": "0"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		{map[string]string{"kernel.unprivileged_userns_clone": "1", "user.max_user_namespaces": "0"}, "sudo sysctl -w user.max_user_namespaces=15000"},
		{map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{nil, "security policy"},
	}
	for _, test := range tests {
		err := explainDenied(unix.EPERM, machineWith(test.sysctls))
		var missing *MissingError
		if !errors.As(err, &missing) || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("with %v: %v, want %q in it", test.sysctls, err, test.want)
		}
	}
}

func TestExplainLimit(t *testing.T) {
	err := explainLimit(unix.ENOSPC, machineWith(map[string]string{"user.max_user_namespaces": "9", "user.max_net_namespaces": "0"}))
	if want := "sudo sysctl -w user.max_net_namespaces=15000"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q in it", err, want)
	}
	err = explainLimit(unix.ENOSPC, machineWith(map[string]string{"user.max_user_namespaces": "9"}))
	if want := "as many namespaces as the limits allow"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q in it", err, want)
	}
}

// TestExplainOther leaves alone what it cannot explain.
func TestExplainOther(t *testing.T) {
	if err := explainClone(nil); err != nil {
		t.Error(err)
	}
	if err := explainClone(unix.ENOMEM); !errors.Is(err, unix.ENOMEM) {
		t.Error(err)
	}
}

func TestEchoMessages(t *testing.T) {
	request := echoRequest(published4, 0x1234)
	if checksum(request) != 0 {
		t.Errorf("the request %x has a wrong checksum", request)
	}
	reply := append([]byte{echoReply4, 0, 0, 0}, request[4:]...)
	if body, ok := parseEchoReply(reply, published4, 0x1234); !ok || string(body) != payload {
		t.Errorf("the reply has the payload %q, %t", body, ok)
	}
	for name, m := range map[string][]byte{"own request": request, "short": reply[:7], "empty": nil} {
		if _, ok := parseEchoReply(m, published4, 0x1234); ok {
			t.Errorf("%s: taken for the reply", name)
		}
	}
	if _, ok := parseEchoReply(reply, published4, 0x4321); ok {
		t.Error("a reply to someone else: taken for the reply")
	}
}

var published4 = small().Links[0].Ends[0].Addresses[0].Addr()
