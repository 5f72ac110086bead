package toolbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"packetwalk/lab"
)

// The exit codes of curl(1).
const (
	curlUsage      = 2
	curlBadURL     = 3
	curlNoConnect  = 7
	curlHTTPError  = 22
	curlWriteError = 23
	curlTimeout    = 28
	curlReceive    = 56
)

// curlCall is a call of curl.
type curlCall struct {
	silent, show, fail, include bool
	output, url                 string
	total, connect              time.Duration // 0: no limit
}

func parseCurl(args []string) (c curlCall, err error) {
	urls, err := parseOptions(args, []option{
		{names: []string{"-s", "--silent"}, set: func() { c.silent = true }},
		{names: []string{"-S", "--show-error"}, set: func() { c.show = true }},
		{names: []string{"-f", "--fail"}, set: func() { c.fail = true }},
		{names: []string{"-i", "--include"}, set: func() { c.include = true }},
		{names: []string{"-o", "--output"}, take: func(v string) error { c.output = v; return nil }},
		{names: []string{"-m", "--max-time"}, take: seconds(&c.total)},
		{names: []string{"--connect-timeout"}, take: seconds(&c.connect)},
		{names: []string{"-4", "--ipv4"}}, {names: []string{"-6", "--ipv6"}}, {names: []string{"-g", "--globoff"}},
	})
	if err == nil && len(urls) != 1 {
		err = errors.New("expected one URL")
	}
	if err != nil {
		return c, err
	}
	c.url = urls[0]
	if !strings.Contains(c.url, "://") {
		c.url = "http://" + c.url
	}
	return c, nil
}

// curl stands in for curl(1): it gets one page over HTTP.
func curl(name string, args []string) int {
	c, err := parseCurl(args)
	if err != nil {
		return complain(name, curlUsage, "%v", err)
	}
	code, err := c.do(context.Background())
	if err != nil && (!c.silent || c.show) {
		return complain(name, code, "(%d) %v", code, err)
	}
	return code
}

func (c curlCall) do(ctx context.Context) (code int, err error) {
	if c.total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.total)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err == nil && req.URL.Scheme != "http" {
		err = fmt.Errorf("this stand-in speaks http only, not %q", req.URL.Scheme)
	}
	if err != nil {
		return curlBadURL, err
	}
	req.Header.Set("User-Agent", "packetwalk")
	resp, err := c.client().Do(req)
	if err != nil {
		return curlFailure(err), err
	}
	defer resp.Body.Close()
	if c.fail && resp.StatusCode >= 400 {
		return curlHTTPError, fmt.Errorf("the server answered %s", resp.Status)
	}
	return c.print(resp)
}

// client is one that does without what makes packets look different.
func (c curlCall) client() *http.Client {
	dialer := lab.Dialer()
	dialer.Timeout = c.connect
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// print writes the answer to where it was asked for.
func (c curlCall) print(resp *http.Response) (code int, err error) {
	out := os.Stdout
	if c.output != "" {
		if out, err = os.Create(c.output); err != nil {
			return curlWriteError, err
		}
		defer out.Close()
	}
	if c.include {
		if _, err := fmt.Fprintf(out, "%s %s\r\n", resp.Proto, resp.Status); err != nil {
			return curlWriteError, err
		}
		if err := resp.Header.Write(out); err != nil {
			return curlWriteError, err
		}
		if _, err := io.WriteString(out, "\r\n"); err != nil {
			return curlWriteError, err
		}
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return curlReceive, err
	}
	return 0, nil
}

// curlFailure is the exit code for a request without an answer.
func curlFailure(err error) int {
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return curlTimeout
	case errors.As(err, &op) && op.Op == "dial":
		return curlNoConnect
	}
	return curlReceive
}
