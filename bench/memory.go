package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/claryhq/clary/bench/load"
	"github.com/claryhq/clary/bench/networks"
	"github.com/claryhq/clary/bench/process"
)

// memory measures what the server holds: idle, under load, after it, and with
// many large bodies at once.
func memory(b *bench) error {
	bare, err := b.bareResident()
	if err != nil {
		return err
	}
	narrow, err := b.clary(iris, []string{"CLARY_ELASTIC=off"})
	if err != nil {
		return err
	}
	defer narrow.stop()
	idle, err := narrow.settled()
	if err != nil {
		return err
	}
	b.report(row{What: "idle, iris", Value: mega(idle), Against: mega(bare) + ": a Go process with the binding and the session",
		Ratio: float64(idle) / float64(bare), Limit: 1.25})
	body, err := b.file("row.csv", []byte("5.1,3.5,1.4,0.2\n"))
	if err != nil {
		return err
	}
	if err := b.resident(narrow, "one row CSV, 64 connections", idle, 0,
		load.Spec{Connections: 64, Seconds: 2, Warm: 0.1, Requests: post(body, "text/csv", "")}); err != nil {
		return err
	}
	if err := b.largeBodies(); err != nil {
		return err
	}
	return b.wideCost()
}

// wideCost measures what a second session for a lone caller takes.
func (b *bench) wideCost() error {
	for _, n := range []networks.Network{networks.SqueezeNet, networks.ResNet50} {
		dir, err := n.Make(b.cache, networks.Options{})
		if err != nil {
			return err
		}
		body, err := b.file("image.npy", npy(image, numbers(3*224*224)))
		if err != nil {
			return err
		}
		var held []int64
		for _, elastic := range []string{"off", "on"} {
			s, err := b.clary(dir, []string{"CLARY_ELASTIC=" + elastic})
			if err != nil {
				return err
			}
			defer s.stop()
			if _, err := s.burst("elastic "+elastic, load.Spec{Connections: 1, Seconds: 1, Warm: 1, Requests: post(body, "application/x-npy", "")}); err != nil {
				return err
			}
			after, err := s.settled()
			if err != nil {
				return err
			}
			held = append(held, after)
		}
		b.report(row{What: n.Name + ", 1 connection: elastic on", Value: mega(held[1]), Against: mega(held[0]) + ": off"})
	}
	return nil
}

// largeBodies sends 256 bodies of 1.5 MB at once.
func (b *bench) largeBodies() error {
	dir, err := networks.SqueezeNet.Make(b.cache, networks.Options{})
	if err != nil {
		return err
	}
	s, err := b.clary(dir, nil)
	if err != nil {
		return err
	}
	defer s.stop()
	values := numbers(3 * 224 * 224)
	for i := range values {
		values[i] /= 8
	}
	body, err := b.file("image.json", instances(image, values))
	if err != nil {
		return err
	}
	idle, err := s.settled()
	if err != nil {
		return err
	}
	return b.resident(s, "squeezenet JSON, 256 connections", idle, 400e6,
		load.Spec{Connections: 256, Seconds: 5, Warm: 0.1, Requests: post(body, "application/json", "")})
}

// resident reports what the server holds at most under load, and what it holds
// 2 s after it.
func (b *bench) resident(s *server, what string, idle, most int64, spec load.Spec) error {
	r, err := s.burst(what, spec)
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	after, err := process.Resident(process.Tree(s.cmd.Process.Pid))
	if err != nil {
		return err
	}
	line := row{What: what + ": at most, and 2 s after", Value: mega(r.Server.Resident) + ", " + mega(after),
		Against: mega(idle) + " idle; " + byStatus(r)}
	if most > 0 {
		line.Against = mega(most) + "; " + line.Against
		line.Ratio, line.Limit = float64(r.Server.Resident)/float64(most), 1
	}
	b.report(line)
	return nil
}

func byStatus(r load.Result) string {
	return fmt.Sprintf("%d answers, %d of them 503", r.Requests, r.ByStatus[fmt.Sprint(http.StatusServiceUnavailable)].Count)
}

// settled is what the server holds a second from now.
func (s *server) settled() (int64, error) {
	time.Sleep(time.Second)
	return process.Resident(process.Tree(s.cmd.Process.Pid))
}

// bareResident is what bench/bare holds a second after it was ready.
func (b *bench) bareResident() (int64, error) { return b.bare(filepath.Join(iris, "model.onnx"), 1) }

// bare is what a bare process with n sessions of a model holds a second after
// it was ready.
func (b *bench) bare(model string, n int) (int64, error) {
	cmd := exec.Command(b.program("bare"), b.library, model, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), "ORT_DISABLE_TELEMETRY=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill() // it waits for the end of its input
		_ = cmd.Wait()
	}()
	if !bufio.NewScanner(out).Scan() {
		return 0, fmt.Errorf("bench/bare ended")
	}
	time.Sleep(time.Second)
	return process.Resident([]int{cmd.Process.Pid})
}
