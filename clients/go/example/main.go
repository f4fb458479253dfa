// Makes an award with the code that protoc generates from proto/, and reads the top of its board.
//
//	go run . AWARD_ID: a UUID. The same one again is the same award, which counts once.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // Lets the service config leave out servers that are not ready.

	score "laurel/scoreapi"
)

func main() {
	channel := connect()
	defer channel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // All tries together.
	defer cancel()

	award := &score.Award{AwardId: os.Args[1], BoardId: "main", UserId: "ada", Points: 10, ActionType: "level", ActionId: "1"}
	request := &score.AwardPointsRequest{Award: award, RequestId: os.Args[1]}
	made, err := score.NewScoreServiceClient(channel).AwardPoints(ctx, request)
	if err != nil {
		log.Fatal(err) // UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL: not known. The same award again tells.
	}
	fmt.Printf("ada has %d points at revision %d\n", made.Result.Total, made.Result.Revision)

	page, err := score.NewLeaderboardServiceClient(channel).ListStandings(ctx, &score.ListStandingsRequest{BoardId: "main"})
	if err != nil {
		log.Fatal(err)
	}
	for _, standing := range page.Standings {
		fmt.Println(standing.GetRank(), standing.UserId, standing.Total)
	}
}

func connect() *grpc.ClientConn {
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(read("CA_FILE"))
	security := &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12,
		// At each new connection, so that a renewed certificate is shown.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(os.Getenv("CERTIFICATE_FILE"), os.Getenv("KEY_FILE"))
			return &pair, err
		}}
	channel, err := grpc.Dial(os.Getenv("LAUREL_TARGET"), grpc.WithTransportCredentials(credentials.NewTLS(security)),
		grpc.WithDefaultServiceConfig(string(read("SERVICE_CONFIG"))), grpc.WithNoProxy())
	if err != nil {
		log.Fatal(err)
	}
	return channel
}

func read(variable string) []byte {
	content, err := os.ReadFile(os.Getenv(variable))
	if err != nil {
		log.Fatal(err)
	}
	return content
}
