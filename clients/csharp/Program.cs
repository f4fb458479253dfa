// Makes an award with the code that Grpc.Tools generates from proto/, and reads the top of its board.
//
//   dotnet run AWARD_ID: a UUID. The same one again is the same award, which counts once.

using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using ScoreApi.V1;

static string Variable(string name) =>
    Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set");

var authorities = new X509Certificate2Collection();
authorities.ImportFromPemFile(Variable("CA_FILE"));
var handler = new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = TimeSpan.FromMinutes(10) };
handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust };
handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
// At each new connection, so that a renewed certificate is shown.
handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) =>
    X509Certificate2.CreateFromPemFile(Variable("CERTIFICATE_FILE"), Variable("KEY_FILE"));

var retries = new MethodConfig
{
    Names = { MethodName.Default },
    RetryPolicy = new RetryPolicy
    {
        MaxAttempts = 5,
        InitialBackoff = TimeSpan.FromSeconds(0.1),
        MaxBackoff = TimeSpan.FromSeconds(2),
        BackoffMultiplier = 2,
        RetryableStatusCodes = { StatusCode.Unavailable, StatusCode.ResourceExhausted },
    },
};
var config = new ServiceConfig { LoadBalancingConfigs = { new RoundRobinConfig() }, MethodConfigs = { retries } };
using var channel = GrpcChannel.ForAddress(
    Variable("LAUREL_TARGET"),
    new GrpcChannelOptions { HttpHandler = handler, Credentials = ChannelCredentials.SecureSsl, ServiceConfig = config });

var deadline = DateTime.UtcNow.AddSeconds(10); // All tries together.
var award = new Award { AwardId = args[0], BoardId = "main", UserId = "ada", Points = 10, ActionType = "level", ActionId = "1" };
// An RpcException with Unavailable, DeadlineExceeded or Internal: not known. The same award again tells.
var made = await new ScoreService.ScoreServiceClient(channel).AwardPointsAsync(
    new AwardPointsRequest { Award = award, RequestId = args[0] }, deadline: deadline);
Console.WriteLine($"ada has {made.Result.Total} points at revision {made.Result.Revision}");

var page = await new LeaderboardService.LeaderboardServiceClient(channel).ListStandingsAsync(
    new ListStandingsRequest { BoardId = "main" }, deadline: deadline);
foreach (var standing in page.Standings) Console.WriteLine($"{standing.Rank} {standing.UserId} {standing.Total}");
