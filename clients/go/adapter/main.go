// The adapter of laurel/client for the conformance kit, see docs/clients.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"laurel/client"
	score "laurel/scoreapi"
)

// Asked is a command of the kit.
type Asked struct {
	Do              string            `json:"do"`
	Addresses       []string          `json:"addresses"`
	ServerName      string            `json:"server_name"`
	CAFile          string            `json:"ca_file"`
	CertificateFile string            `json:"certificate_file"`
	KeyFile         string            `json:"key_file"`
	Timeout         float64           `json:"timeout_seconds"`
	Attempt         float64           `json:"attempt_seconds"`
	Stall           float64           `json:"stall_seconds"`
	Award           json.RawMessage   `json:"award"`
	Awards          []json.RawMessage `json:"awards"`
	BoardID         string            `json:"board_id"`
	AfterPosition   *string           `json:"after_position"`
}

var (
	opened *client.Client
	stream *client.Stream
	writer = protojson.MarshalOptions{UseProtoNames: true}
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var asked Asked
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		answer, err := json.Marshal(do(asked))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", answer)
	}
}

func do(asked Asked) interface{} {
	switch asked.Do {
	case "open":
		var err error
		if opened, err = client.Open(optionsOf(asked)); err != nil {
			log.Fatal(err)
		}
	case "close":
		end()
		if opened != nil {
			opened.Close()
			opened = nil
		}
	case "award":
		return award(asked.Award)
	case "award_many":
		answers := make([]interface{}, len(asked.Awards))
		done := make(chan bool)
		for index := range asked.Awards {
			go func(index int) { answers[index] = award(asked.Awards[index]); done <- true }(index)
		}
		for range answers {
			<-done
		}
		return result(map[string]interface{}{"answers": answers})
	case "top":
		return answer(opened.Top(asked.BoardID))
	case "watch", "entries":
		end()
		stream = opened.Follow(asked.Do == "watch", asked.BoardID, asked.AfterPosition)
	case "next":
		return answer(stream.Next())
	case "stop":
		end()
	default:
		return map[string]string{"unsupported": asked.Do}
	}
	return result(struct{}{})
}

func optionsOf(asked Asked) client.Options {
	return client.Options{Addresses: asked.Addresses, ServerName: asked.ServerName, CAFile: asked.CAFile,
		CertificateFile: asked.CertificateFile, KeyFile: asked.KeyFile, Timeout: seconds(asked.Timeout),
		Attempt: seconds(asked.Attempt), Stall: seconds(asked.Stall)}
}

func seconds(value float64) time.Duration {
	return time.Duration(value * float64(time.Second))
}

func end() {
	if stream != nil {
		stream.Close()
		stream = nil
	}
}

func award(told json.RawMessage) interface{} {
	request := &score.AwardPointsRequest{Award: &score.Award{}}
	var ids struct {
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(told, &ids); err != nil {
		log.Fatal(err)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(told, request.Award); err != nil {
		log.Fatal(err)
	}
	request.RequestId = ids.RequestID
	return answer(opened.Award(request))
}

func answer(message proto.Message, failure *client.Failure) interface{} {
	if failure != nil {
		return map[string]*client.Failure{"error": failure}
	}
	text, err := writer.Marshal(message)
	if err != nil {
		log.Fatal(err)
	}
	return result(json.RawMessage(text))
}

func result(value interface{}) interface{} {
	return map[string]interface{}{"result": value}
}
