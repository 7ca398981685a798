package dev.loopline.client;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * The features of a team, from a feature service.
 *
 * <p>A request waits {@code timeout} for an answer; when the service cannot answer now, it is sent again up to
 * {@code retries} times, after as long as the service asks for. What goes wrong is a {@link LooplineException}. One
 * client serves many threads.
 */
public final class FeaturesClient {
    private static final String NDJSON = "application/x-ndjson";

    private final URI url;
    private final String team;
    private final Duration timeout;
    private final int retries;
    private final HttpClient http;

    private FeaturesClient(Builder builder) {
        url = builder.url;
        team = builder.team;
        timeout = builder.timeout;
        retries = builder.retries;
        http = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(builder.timeout)
                .build();
    }

    /** Talk to the service at a URL, for a team. */
    public static Builder of(String url, String team) {
        return new Builder(URI.create(url.endsWith("/") ? url : url + "/"), team);
    }

    /** Get the newest values of features. */
    public OnlineFeatures getOnline(OnlineRequest request) {
        return joined(getOnlineAsync(request));
    }

    /** Get the newest values of features without waiting for them. */
    public CompletableFuture<OnlineFeatures> getOnlineAsync(OnlineRequest request) {
        HttpRequest post = post("features/online", request.body(team)).build();
        return send(post, 0).thenApply(answer -> new OnlineFeatures(answer.body()));
    }

    /** Get features as they were known in the past. */
    public TrainingSet getTrainingSet(TrainingRequest request) {
        return joined(getTrainingSetAsync(request));
    }

    /** Get features as they were known in the past without waiting for them. */
    public CompletableFuture<TrainingSet> getTrainingSetAsync(TrainingRequest request) {
        HttpRequest post = post("features/training-set", request.body(team)).header("accept", NDJSON).build();
        return send(post, 0).thenApply(answer -> {
            String id = answer.headers().firstValue("loopline-training-set").orElse(null);
            return new TrainingSet(answer.body(), id);
        });
    }

    private HttpRequest.Builder post(String path, byte[] body) {
        return HttpRequest.newBuilder(url.resolve(path))
                .timeout(timeout)
                .header("content-type", "application/json")
                .POST(BodyPublishers.ofByteArray(body));
    }

    private CompletableFuture<HttpResponse<byte[]>> send(HttpRequest request, int attempt) {
        return http.sendAsync(request, BodyHandlers.ofByteArray())
                .handle((answer, cause) -> {
                    LooplineException failure = cause == null ? Answers.failure(answer) : unreachable(cause);
                    boolean again = failure != null && Answers.isTransient(failure) && attempt < retries;
                    if (again) {
                        Executor later = later(Answers.delay(answer, attempt));
                        return CompletableFuture.supplyAsync(() -> null, later)
                                .thenCompose(nothing -> send(request, attempt + 1));
                    }
                    return failure == null
                            ? CompletableFuture.completedFuture(answer)
                            : CompletableFuture.<HttpResponse<byte[]>>failedFuture(failure);
                })
                .thenCompose(done -> done);
    }

    private static Executor later(Duration delay) {
        return CompletableFuture.delayedExecutor(delay.toMillis(), TimeUnit.MILLISECONDS);
    }

    private LooplineException unreachable(Throwable thrown) {
        Throwable cause = thrown instanceof CompletionException && thrown.getCause() != null ? thrown.getCause() : thrown;
        if (!(cause instanceof IOException)) {
            throw new CompletionException(cause);
        }
        return new LooplineException(url + " did not answer: " + cause, "see whether the service runs", 0, cause);
    }

    private static <T> T joined(CompletableFuture<T> future) {
        try {
            return future.join();
        } catch (CompletionException error) {
            if (error.getCause() instanceof LooplineException ours) {
                throw ours;
            }
            throw error;
        }
    }

    /** Collects how to talk to the service. */
    public static final class Builder {
        private final URI url;
        private final String team;
        private Duration timeout = Duration.ofSeconds(5);
        private int retries = 2;

        private Builder(URI url, String team) {
            this.url = url;
            this.team = team;
        }

        /** How long one attempt may take; five seconds without it. */
        public Builder timeout(Duration most) {
            timeout = most;
            return this;
        }

        /** How often a request is sent again when the service cannot answer now; twice without it. */
        public Builder retries(int most) {
            retries = most;
            return this;
        }

        /** Make the client. */
        public FeaturesClient build() {
            return new FeaturesClient(this);
        }
    }
}
