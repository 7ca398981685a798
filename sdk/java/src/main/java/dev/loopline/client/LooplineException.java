package dev.loopline.client;

/** Something went wrong; {@code problem} names it and {@code fix} says what to do. */
public final class LooplineException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String problem;
    private final String fix;
    private final int status;

    /** Make one; {@code status} is HTTP's, 0 when no answer came. */
    public LooplineException(String problem, String fix, int status) {
        this(problem, fix, status, null);
    }

    LooplineException(String problem, String fix, int status, Throwable cause) {
        super(problem + " → " + fix, cause);
        this.problem = problem;
        this.fix = fix;
        this.status = status;
    }

    /** What is wrong. */
    public String problem() {
        return problem;
    }

    /** What to do. */
    public String fix() {
        return fix;
    }

    /** HTTP's status: 400 the request, 404 unknown, 409 forbidden now, 503 try again; 0 when no answer came. */
    public int status() {
        return status;
    }
}
