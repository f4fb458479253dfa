// Package client is the generated code, and as much around it as the rules of docs/clients.md ask for.
package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	mathrand "math/rand"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // Lets the service config leave out servers that are not ready.
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	score "laurel/scoreapi"
)

const serviceConfig = `{"loadBalancingConfig": [{"round_robin": {}}],
	"healthCheckConfig": {"serviceName": "score_api.v1.ScoreService"}}`

// The age at which a connection ends. The service ends it before, after half an hour, as long as it is to be trusted.
const longest = 40 * time.Minute

// Options of a client.
type Options struct {
	Addresses                        []string // Of the servers, HOST:PORT. In place of a name that is resolved.
	ServerName                       string   // The name in their certificates.
	CAFile, CertificateFile, KeyFile string
	Timeout                          time.Duration // Of a call, all tries together.
	Attempt                          time.Duration // Of one try.
	Stall                            time.Duration // Of a stream that brings nothing.
}

// Client makes calls, and tries them again as the rules say.
type Client struct {
	channel *grpc.ClientConn
	options Options
}

// Failure is what a call ended with.
type Failure struct {
	Kind       string            `json:"kind"`
	Reason     string            `json:"reason"`
	RetryAfter *float64          `json:"retry_after_seconds,omitempty"`
	Fields     map[string]string `json:"fields,omitempty"`
	passing    bool              // It may be tried again at once.
}

// Open connects in the background.
func Open(options Options) (*Client, error) {
	pairs := &pairs{certificateFile: options.CertificateFile, keyFile: options.KeyFile}
	security := &tls.Config{ServerName: options.ServerName, MinVersion: tls.VersionTLS12, GetClientCertificate: pairs.read,
		// Go would check with the authorities of now; they are read for each connection instead.
		InsecureSkipVerify: true, VerifyConnection: options.verify}
	addresses := manual.NewBuilderWithScheme("addresses")
	state := resolver.State{}
	for _, address := range options.Addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	addresses.InitialState(state)
	channel, err := grpc.Dial("addresses:///score-service", grpc.WithResolvers(addresses), grpc.WithNoProxy(),
		grpc.WithTransportCredentials(bounded{credentials.NewTLS(security)}), grpc.WithDefaultServiceConfig(serviceConfig))
	return &Client{channel, options}, err
}

// Close ends everything that is under way.
func (client *Client) Close() error {
	return client.channel.Close()
}

// verify checks the certificate of a server as Go does, with the authorities that the file has now.
func (options Options) verify(state tls.ConnectionState) error {
	content, err := os.ReadFile(options.CAFile)
	if err != nil {
		return err
	}
	check := x509.VerifyOptions{DNSName: options.ServerName, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	check.Roots.AppendCertsFromPEM(content)
	for _, intermediate := range state.PeerCertificates[1:] {
		check.Intermediates.AddCert(intermediate)
	}
	_, err = state.PeerCertificates[0].Verify(check)
	return err
}

// Credentials whose connections end by age, and with the certificate of the server, which TLS does not check again.
type bounded struct {
	credentials.TransportCredentials
}

func (with bounded) Clone() credentials.TransportCredentials {
	return bounded{with.TransportCredentials.Clone()}
}

func (with bounded) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	connection, info, err := with.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	left := time.Until(info.(credentials.TLSInfo).State.PeerCertificates[0].NotAfter)
	if left > longest {
		left = longest
	}
	return timed{connection, time.AfterFunc(left, func() { raw.Close() })}, info, nil
}

// A connection that is closed when its time is over.
type timed struct {
	net.Conn
	timer *time.Timer
}

func (connection timed) Close() error {
	connection.timer.Stop()
	return connection.Conn.Close()
}

// The pair of files, which is read for each connection. While they do not belong together, the last pair stays in use.
type pairs struct {
	certificateFile, keyFile string
	lock                     sync.Mutex
	last                     *tls.Certificate
}

func (files *pairs) read(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	files.lock.Lock()
	defer files.lock.Unlock()
	pair, err := tls.LoadX509KeyPair(files.certificateFile, files.keyFile)
	if err == nil {
		files.last = &pair
	}
	if files.last == nil {
		return nil, err
	}
	return files.last, nil
}

// Award makes an award, and the ids that are missing.
func (client *Client) Award(request *score.AwardPointsRequest) (*score.AwardResult, *Failure) {
	for _, id := range []*string{&request.Award.AwardId, &request.RequestId} {
		if *id == "" {
			*id = uuid()
		}
	}
	var response *score.AwardPointsResponse
	failure := client.call(func(ctx context.Context) (err error) {
		response, err = score.NewScoreServiceClient(client.channel).AwardPoints(ctx, request)
		return err
	})
	return response.GetResult(), failure
}

// Top reads the first page of a board.
func (client *Client) Top(boardID string) (response *score.ListStandingsResponse, failure *Failure) {
	failure = client.call(func(ctx context.Context) (err error) {
		request := &score.ListStandingsRequest{BoardId: boardID}
		response, err = score.NewLeaderboardServiceClient(client.channel).ListStandings(ctx, request)
		return err
	})
	return response, failure
}

func (client *Client) call(do func(context.Context) error) *Failure {
	ctx, cancel := context.WithTimeout(context.Background(), client.options.Timeout)
	defer cancel()
	unknown := false
	for tries := 0; ; tries++ {
		try, cancel := context.WithTimeout(ctx, client.options.Attempt)
		failure := failureOf(do(try))
		cancel()
		if failure == nil {
			return nil
		}
		if unknown && (failure.Reason == "QUOTA_EXCEEDED" || failure.Reason == "CERTIFICATE_EXPIRED") {
			failure.Kind = "unknown" // It was checked first, and says nothing of the tries before.
		}
		unknown = unknown || (failure.Kind == "unknown" && failure.Reason != "OVERLOADED")
		if !failure.passing || failure.Reason == "QUOTA_EXCEEDED" || !pause(ctx, tries, failure) {
			return failure
		}
	}
}

// pause waits as long as was asked for and a little at random, and returns whether there is time left.
func pause(ctx context.Context, tries int, failure *Failure) bool {
	most := 100 * time.Millisecond << uint(tries)
	if most > 2*time.Second || tries > 5 {
		most = 2 * time.Second
	}
	wait := time.Duration(mathrand.Int63n(int64(most)))
	if failure.RetryAfter != nil {
		wait += time.Duration(*failure.RetryAfter * float64(time.Second))
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// failureOf says what a caller knows after an error.
func failureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	told := status.Convert(err)
	failure := &Failure{Kind: "unknown", Reason: told.Code().String()}
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "laurel" {
				failure.Reason = detail.Reason
			}
		case *errdetails.RetryInfo:
			after := float64(detail.RetryDelay.GetSeconds()) + float64(detail.RetryDelay.GetNanos())/1e9
			failure.RetryAfter = &after
		case *errdetails.BadRequest:
			failure.Fields = map[string]string{}
			for _, violation := range detail.FieldViolations {
				failure.Fields[violation.Field] = violation.Description
			}
		}
	}
	switch told.Code() {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.NotFound, codes.AlreadyExists,
		codes.OutOfRange, codes.FailedPrecondition:
		failure.Kind = "rejected"
	case codes.ResourceExhausted:
		failure.passing = true
		if failure.Reason == "QUOTA_EXCEEDED" || failure.Reason == "OVERLOADED" {
			failure.Kind = "later"
		}
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		failure.passing = true
	}
	return failure
}

// Return a UUID of version 7: milliseconds, then randomness (RFC 9562, section 5.7).
func uuid() string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[6:]); err != nil {
		panic(err) // A system without randomness.
	}
	now := time.Now().UnixMilli()
	binary.BigEndian.PutUint32(bytes[:], uint32(now>>16))
	binary.BigEndian.PutUint16(bytes[4:], uint16(now))
	bytes[6], bytes[8] = bytes[6]&0x0f|0x70, bytes[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bytes[:4], bytes[4:6], bytes[6:8], bytes[8:10], bytes[10:])
}
