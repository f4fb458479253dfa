import com.google.gson.Gson;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import score_api.v1.LeaderboardServiceGrpc;
import score_api.v1.LeaderboardServiceOuterClass.ListStandingsRequest;
import score_api.v1.ScoreServiceGrpc;
import score_api.v1.ScoreServiceOuterClass.Award;
import score_api.v1.ScoreServiceOuterClass.AwardPointsRequest;
import score_api.v1.Types.Standing;

/**
 * Makes an award with the code that protoc generates from proto/, and reads the top of its board.
 *
 * <p>java Backend AWARD_ID: a UUID. The same one again is the same award, which counts once.
 */
class Backend {
  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel = connect();
    Award award = Award.newBuilder().setAwardId(arguments[0]).setBoardId("main").setUserId("ada").setPoints(10)
        .setActionType("level").setActionId("1").build();
    AwardPointsRequest request = AwardPointsRequest.newBuilder().setAward(award).setRequestId(arguments[0]).build();
    // The deadline is for all tries together. A StatusRuntimeException with UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL:
    // not known. The same award again tells.
    var made = ScoreServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS).awardPoints(request);
    System.out.printf("ada has %d points at revision %d%n", made.getResult().getTotal(), made.getResult().getRevision());

    var boards = LeaderboardServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS);
    for (Standing standing : boards.listStandings(ListStandingsRequest.newBuilder().setBoardId("main").build()).getStandingsList()) {
      System.out.println(standing.getRank() + " " + standing.getUserId() + " " + standing.getTotal());
    }
    channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
  }

  private static ManagedChannel connect() throws Exception {
    // For certificates that are renewed: AdvancedTlsX509KeyManager, of grpc-util.
    var credentials = TlsChannelCredentials.newBuilder().trustManager(new File(System.getenv("CA_FILE")))
        .keyManager(new File(System.getenv("CERTIFICATE_FILE")), new File(System.getenv("KEY_FILE"))).build();
    Map<String, ?> config = new Gson().fromJson(Files.readString(Path.of(System.getenv("SERVICE_CONFIG"))), Map.class);
    return Grpc.newChannelBuilder(System.getenv("LAUREL_TARGET"), credentials).defaultServiceConfig(config)
        .enableRetry().proxyDetector(address -> null).build();
  }
}
