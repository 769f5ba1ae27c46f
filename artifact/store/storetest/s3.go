// Package storetest gives tests a real S3 server, versitygw, which `make
// s3server` builds.
package storetest

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A Server is a running S3 server.
type Server struct {
	URL    string
	Client *s3.Client
}

// The credentials that a Server takes.
const (
	accessKey = "clary"
	secretKey = "clary-secret"
)

// Start starts a server on a free port of the loopback, with an empty bucket
// of each name, and ends it with the test. A server that was not built is a
// failure.
func Start(t testing.TB, buckets ...string) *Server {
	t.Helper()
	binary := find(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	data, side := t.TempDir(), t.TempDir()
	cmd := exec.Command(binary, "--quiet", "--port", addr, "posix", "--sidecar", side, data)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to lose
		_ = cmd.Wait()         // so its exit status says nothing
	})
	s := &Server{URL: "http://" + addr}
	s.Client = s3.New(s3.Options{BaseEndpoint: &s.URL, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})
	s.wait(t)
	for _, name := range buckets {
		if _, err := s.Client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// wait returns once the server answers anything.
func (s *Server) wait(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get(s.URL); err == nil {
			_ = resp.Body.Close() // nothing is read of it
			return
		}
	}
	t.Fatalf("the S3 server did not answer on %s within a minute", s.URL)
}

// Env is the environment in which the AWS SDK finds the server.
func (s *Server) Env() []string {
	return []string{"AWS_ENDPOINT_URL_S3=" + s.URL, "AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_REGION=us-east-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true"}
}

// find returns the server's binary, in the nearest folder above that has it.
func find(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		found, err := filepath.Glob(filepath.Join(dir, ".cache", "versitygw", "*", "versitygw"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 1 {
			return found[0]
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no S3 server to test with, or several: run `make s3server`")
		}
	}
}
