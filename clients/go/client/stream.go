package client

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	score "laurel/scoreapi"
)

const entriesPerMessage = 250

// Event is a message of a watch, or an entry of a feed.
type Event interface {
	proto.Message
	GetPosition() string
	GetRevision() int64
}

// Stream is a watch or a feed, across all the streams of gRPC that it takes.
type Stream struct {
	client   *Client
	isWatch  bool
	boardID  string
	handled  *string // The position to go on from.
	last     Event   // Handed over, and handled once the next one is asked for.
	waiting  []Event // The rest of a message with several entries.
	revision int64   // Of the last entry that was handed over.
	resumes  bool    // The next snapshot comes before the changes up to it.
	receive  func() (Event, error)
	cancel   context.CancelFunc
}

// Follow begins a watch of all scores, or a feed, with the first event that is asked for.
func (client *Client) Follow(isWatch bool, boardID string, after *string) *Stream {
	return &Stream{client: client, isWatch: isWatch, boardID: boardID, handled: after}
}

// Next returns the next event; the one before is handled.
func (stream *Stream) Next() (Event, *Failure) {
	stream.handle()
	for tries := 0; ; tries++ {
		for len(stream.waiting) > 0 {
			stream.last, stream.waiting = stream.waiting[0], stream.waiting[1:]
			if entry, isEntry := stream.last.(*score.StreamEntriesResponse); isEntry {
				if entry.Revision <= stream.revision {
					stream.last = nil // It came again.
					continue
				}
				if entry.Entry == nil || entry.GetCheckpoint() != nil {
					stream.handle() // Nothing for a caller.
					continue
				}
				stream.revision = entry.Revision
			}
			return stream.last, nil
		}
		event, err := stream.read()
		if err == nil {
			stream.waiting, tries = unpack(event), -1
			continue
		}
		stream.Close()
		failure := failureOf(err)
		if failure.Kind == "rejected" || !pause(context.Background(), tries, failure) {
			return nil, failure
		}
	}
}

// Close ends the stream of gRPC, if one is open.
func (stream *Stream) Close() {
	if stream.cancel != nil {
		stream.cancel()
		stream.cancel, stream.receive = nil, nil
	}
}

func (stream *Stream) handle() {
	if stream.last == nil {
		return
	}
	message, _ := stream.last.(*score.WatchLeaderboardResponse)
	snapshot := message.GetSnapshot()
	if !(stream.resumes && snapshot != nil && !snapshot.Reset_) {
		position := stream.last.GetPosition()
		stream.handled = &position
	}
	stream.last, stream.resumes = nil, true
}

// read waits for a message, and gives up a stream that brings nothing.
func (stream *Stream) read() (Event, error) {
	if stream.receive == nil {
		if err := stream.open(); err != nil {
			return nil, err
		}
	}
	silence := time.AfterFunc(stream.client.options.Stall, stream.cancel)
	defer silence.Stop()
	event, err := stream.receive()
	if err == io.EOF {
		err = status.Error(codes.Unavailable, "the service ended the stream")
	}
	return event, err
}

func (stream *Stream) open() error {
	ctx, cancel := context.WithCancel(context.Background())
	stream.cancel, stream.resumes = cancel, stream.handled != nil
	if stream.isWatch {
		request := &score.WatchLeaderboardRequest{BoardId: stream.boardID, TopN: 10, AllScores: true, AfterPosition: stream.handled}
		opened, err := score.NewLeaderboardServiceClient(stream.client.channel).WatchLeaderboard(ctx, request)
		stream.receive = func() (Event, error) { return opened.Recv() }
		return err
	}
	request := &score.StreamEntriesRequest{BoardId: stream.boardID, EntriesPerMessage: entriesPerMessage}
	if stream.handled != nil {
		request.AfterPosition = *stream.handled
	}
	opened, err := score.NewLedgerServiceClient(stream.client.channel).StreamEntries(ctx, request)
	stream.receive = func() (Event, error) { return opened.Recv() }
	return err
}

func unpack(event Event) []Event {
	events := []Event{event}
	if message, isEntry := event.(*score.StreamEntriesResponse); isEntry {
		for _, entry := range message.Following {
			events = append(events, entry)
		}
		message.Following = nil
	}
	return events
}
