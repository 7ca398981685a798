/**
 * Features from Loopline: the newest for an application, those of the past for training.
 *
 * <p>Start at {@link dev.loopline.client.FeaturesClient}.
 */
package dev.loopline.client;
